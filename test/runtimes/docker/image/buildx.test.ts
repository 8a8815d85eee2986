/** Builds by a stub of the Docker CLI with buildx: its arguments and input, and the use of its output. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Engine } from "../../../../src/runtimes/docker/engine/engine.js";
import { readInfo } from "../../../../src/runtimes/docker/engine/engine.js";
import { type BuildOptions, buildImage } from "../../../../src/runtimes/docker/image/build.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-buildx-"));
  mkdirSync(join(folder, "project"));
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "project", "Dockerfile"), "FROM scratch\n");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Creates the CLI, which records its arguments and input and then runs the script; `$id` is the file for the image's id. */
function cli(script: string): void {
  const path = join(folder, "bin", "docker");
  writeFileSync(
    path,
    `#!/bin/sh
[ "$2" = version ] && exit 0
printf '%s\\n' "$@" "HOST=$DOCKER_HOST CONTEXT=$DOCKER_CONTEXT" > ${folder}/given
cat > ${folder}/context
tar -tf ${folder}/context > ${folder}/files
for word in "$@"; do case "$word" in --iidfile=*) id="\${word#--iidfile=}";; esac; done
${script}
`,
  );
  chmodSync(path, 0o755);
}

const missing = Object.assign(new Error("no such image"), { statusCode: 404 });

function build(
  source = "default",
  signal = new AbortController().signal,
  more: Partial<Pick<BuildOptions, "build" | "secrets" | "platform">> = {},
) {
  const messages: string[] = [];
  const engine = {
    address: { host: "unix:///engine.sock", source },
    docker: { getImage: () => ({ inspect: () => Promise.reject(missing) }) },
    info: readInfo({}),
  } as unknown as Engine;
  const done = buildImage({
    engine,
    build: { context: join(folder, "project"), args: { A: "1" }, target: "last" },
    secrets: {},
    tag: "stackwarden/x:1",
    labels: { l: "v" },
    service: "app",
    folder: join(folder, "project"),
    exclude: [],
    env: {
      ...process.env,
      HOME: folder,
      DOCKER_HOST: "unix:///other",
      STACKWARDEN_PROGRAM_DIRS: `${folder}/bin:/usr/bin:/bin`,
    },
    retry: { maxRetries: 1, baseDelayMs: 1 },
    signal,
    phase: (message) => messages.push(message),
    output: (line) => messages.push(`out ${line}`),
    retrying: (message) => messages.push(message),
    ...more,
  });
  return { done, messages };
}
const given = () => readFileSync(join(folder, "given"), "utf8").split("\n");

it("buildx receives the context as an archive with its options and returns the image's id", async () => {
  cli('echo "#5 [last 1/1] RUN true"; printf sha256:abc > "$id"');
  const { done, messages } = build();
  expect(await done).toBe("sha256:abc");
  for (const word of ["--build-arg=A=1", "--target=last", "--tag=stackwarden/x:1", "--label=l=v", "--file=Dockerfile"])
    expect(given()).toContain(word);
  expect(given()).toContain("HOST=unix:///engine.sock CONTEXT=");
  expect(readFileSync(join(folder, "files"), "utf8")).toBe("Dockerfile\n");
  expect(messages).toContain("out #5 [last 1/1] RUN true");
  expect(messages).toContain("building: #5 [last 1/1] RUN true");
  expect(await build("context desktop").done).toBe("sha256:abc");
  expect(given()).toContain("HOST= CONTEXT=desktop");
});

it("buildx receives an inline Dockerfile, secrets as private files and --no-cache", async () => {
  cli(
    `tar -xOf ${folder}/context .dockerfile.stackwarden > ${folder}/dockerfile
for word in "$@"; do case "$word" in --secret=id=token,src=*) stat -c %a "\${word##*=}" > ${folder}/mode; cat "\${word##*=}" > ${folder}/secret;; esac; done
printf sha256:abc > "$id"`,
  );
  const { done } = build("default", new AbortController().signal, {
    build: {
      context: join(folder, "project"),
      args: {},
      dockerfileInline: "FROM scratch AS inline\n",
      labels: { own: "1", l: "forged" },
      noCache: true,
      pull: true,
    },
    secrets: { token: "s3cret" },
    platform: "linux/arm64",
  });
  expect(await done).toBe("sha256:abc");
  for (const word of ["--no-cache", "--pull", "--platform=linux/arm64", "--label=own=1", "--label=l=v"])
    expect(given()).toContain(word);
  expect(given()).toContain("--file=.dockerfile.stackwarden");
  expect(given().join(" ")).not.toContain("s3cret");
  expect(readFileSync(join(folder, "dockerfile"), "utf8")).toBe("FROM scratch AS inline\n");
  expect(readFileSync(join(folder, "secret"), "utf8")).toBe("s3cret");
  expect(readFileSync(join(folder, "mode"), "utf8")).toBe("600\n");
});

it("a failed build reports its last lines, and a busy registry is retried", async () => {
  cli("echo it broke >&2; exit 3");
  await expect(build().done).rejects.toMatchObject({
    code: "SERVICE_START_FAILED",
    details: { last_lines: ["it broke"] },
  });
  cli("echo 'toomanyrequests: slow down'; exit 1");
  const { done, messages } = build();
  await expect(done).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  expect(messages.some((text) => text.includes("retrying in"))).toBe(true);
});

it("a cancelled build ends the program", async () => {
  cli("exec sleep 100");
  const abort = new AbortController();
  const { done } = build("default", abort.signal);
  setTimeout(() => abort.abort(new Error("changed my mind")), 300);
  await expect(done).rejects.toThrow("changed my mind");
});
