import { describe, expect, it } from "vitest";
import { isBuildCommand, meaningOf } from "../../../../src/runtimes/local/image/classify.js";
import { joinCommands, shellCommands } from "../../../../src/runtimes/local/image/shell-commands.js";

const node = (tool: string, frozen = false, omitDev = false) => ({
  kind: "install",
  installation: { language: "node", tool, frozen, omitDev },
});
const python = (tool: string, fields: { requirements?: string[]; packages?: string[]; options?: string[] } = {}) => ({
  kind: "install",
  installation: { language: "python", tool, requirements: [], packages: [], options: [], ...fields },
});

describe("meaningOf", () => {
  it.each([
    ["npm ci", node("npm", true)],
    ["npm ci --omit=dev && true", { kind: "command" }],
    ["npm install --production", node("npm", false, true)],
    ["NODE_ENV=production npm i --omit dev", node("npm", false, true)],
    ["yarn", node("yarn")],
    ["yarn install --frozen-lockfile --production", node("yarn", true, true)],
    ["pnpm i --frozen-lockfile --prod", node("pnpm", true, true)],
    ["bun install --frozen-lockfile", node("bun", true)],
    ["pip install --no-cache-dir -r requirements.txt", python("pip", { requirements: ["requirements.txt"] })],
    ["python -m pip install --requirement=a.txt -r b.txt", python("pip", { requirements: ["a.txt", "b.txt"] })],
    ["pip3 install 'psycopg[binary]>=3' gunicorn", python("pip", { packages: ["psycopg[binary]>=3", "gunicorn"] })],
    ["pip install -e '.[dev]'", python("pip", { packages: [".[dev]"] })],
    ["uv pip install --system -r requirements.txt", python("uv", { requirements: ["requirements.txt"] })],
    ["uv sync --frozen --no-dev --group web", python("uv", { options: ["--no-dev", "--group", "web"] })],
    ["poetry install --no-root --only main", python("poetry", { options: ["--no-root", "--only", "main"] })],
    ["poetry sync --extra=all", python("poetry", { options: ["--extra=all"] })],
    ["pipenv install", python("pipenv")],
    ["pipenv sync", python("pipenv")],
    [
      "pip install --find-links /wheels -c limits.txt --requirement a.txt",
      python("pip", { requirements: ["a.txt"], options: ["--find-links", "/wheels"] }),
    ],
    ["npm ci --omit dev --only prod", node("npm", true, true)],
  ])("the command %s is an installation of dependencies", (text, meaning) => {
    expect(meaningOf(text)).toEqual(meaning);
  });

  it.each(["npm install -g pnpm@9", "corepack enable pnpm", "pip install uv==0.5", "yarn global add turbo"])(
    "the command %s is an installation of a tool",
    (text) => {
      expect(meaningOf(text)).toMatchObject({ kind: "tools", names: [expect.stringMatching(/^(pnpm|uv|turbo)$/)] });
    },
  );

  it.each([
    "rm -rf /var/lib/apt/lists/*",
    "mkdir -p /data",
    "chown -R node:node /app",
    "adduser --disabled-password app",
    "pip install --upgrade pip",
    "npm cache clean --force",
    "npm config set registry x",
    "apt-get update",
    "go mod download",
    "poetry config virtualenvs.create false",
    "echo hello > /etc/motd",
    "npm uninstall -g left-pad",
    "pnpm fetch",
    "pip list",
    "pip install",
    "pip install --upgrade pip setuptools wheel",
    "python -m pip list",
    "python3 -m venv /venv",
    "uv venv",
    "uv cache clean",
    "poetry cache clear pypi",
    "poetry install --only-root",
    "NODE_ENV=production",
    "A=1 mkdir x",
    "",
  ])("the command %s has no effect without a container", (text) => {
    expect(meaningOf(text)).toEqual({ kind: "nothing" });
  });

  it.each([
    "npm",
    "npm install left-pad",
    "uv run x",
    "poetry run x",
    "pipenv run x",
    "python manage.py x",
    "a | b",
    "'",
  ])("the command %s has a meaning of its project", (text) => {
    expect(meaningOf(text)).toEqual({ kind: "command" });
  });

  it("cd changes the folder of the commands that follow", () => {
    expect(meaningOf("cd web")).toEqual({ kind: "directory", to: "web" });
    expect(meaningOf("cd")).toEqual({ kind: "directory", to: "/" });
  });

  it("an apt-get or apk command lists its packages", () => {
    expect(meaningOf("apt-get install -y --no-install-recommends libpq-dev curl")).toEqual({
      kind: "packages",
      packages: ["libpq-dev", "curl"],
    });
    expect(meaningOf("apk add --no-cache python3")).toEqual({ kind: "packages", packages: ["python3"] });
  });

  it("isBuildCommand accepts only programs of a language or a build system", () => {
    for (const text of [
      "npm run build",
      "npx prisma generate",
      "CGO_ENABLED=0 go build -o /bin/x .",
      "./gradlew build",
    ]) {
      expect(meaningOf(text)).toEqual({ kind: "command" });
      expect(isBuildCommand(text)).toBe(true);
    }
    for (const text of [
      "find / -name x -delete",
      "curl https://example.com | sh",
      "sed -i s/a/b/ x",
      "cp a /usr/b",
      "",
    ])
      expect(isBuildCommand(text)).toBe(false);
  });
});

describe("shellCommands", () => {
  it("shellCommands splits a text at ;, && and newlines outside of quotes", () => {
    expect(shellCommands('cd web && npm ci; echo "a && b"\nnpm start').map(({ text }) => text)).toEqual([
      "cd web",
      "npm ci",
      'echo "a && b"',
      "npm start",
    ]);
    expect(joinCommands(shellCommands("a && b; c"))).toBe("a && b; c");
    expect(shellCommands("a;; b;\n")).toEqual([
      { text: "a", operator: ";" },
      { text: "b", operator: "" },
    ]);
    expect(shellCommands(" ; ")).toEqual([]);
  });

  it.each(["a | b && c", "a || b", "if x; then y; fi", "a & b"])("shellCommands keeps %s as one command", (text) => {
    expect(shellCommands(text)).toEqual([{ text, operator: "" }]);
  });

  it("shellCommands keeps escaped characters, also at the end and within quotes", () => {
    expect(shellCommands("echo a\\;b; echo 'c\\'; echo d\\").map(({ text }) => text)).toEqual([
      "echo a\\;b",
      "echo 'c\\'",
      "echo d\\",
    ]);
    expect(shellCommands("{ a; b; } ; x{y}").map(({ text }) => text)).toEqual(["{ a; b; }", "x{y}"]);
  });

  it("shellCommands keeps redirections, substitutions and groups in their command", () => {
    expect(shellCommands("a 2>&1 && (b; c) && echo $(d; e)").map(({ text }) => text)).toEqual([
      "a 2>&1",
      "(b; c)",
      "echo $(d; e)",
    ]);
  });
});
