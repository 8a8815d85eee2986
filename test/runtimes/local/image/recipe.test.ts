import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { translate, translateService } from "../../../../src/runtimes/local/image/translate.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { definition, Fixture, service } from "../support/fixture.js";

describe("a service with a Dockerfile", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  const built = async (dockerfile: string, fields: Partial<ServiceDefinition> = {}) => {
    fixture.file("Dockerfile", dockerfile);
    const one = service("web", { build: { context: fixture.folder, args: {} }, ...fields });
    const { recipe } = await translateService(one, fixture.folder);
    if (recipe === undefined) throw new Error("no recipe");
    return recipe;
  };
  const within = (path: string) => (path === "" ? fixture.folder : `${fixture.folder}/${path}`);

  it("a recipe has the command, the copied folder and the installation of the Dockerfile", async () => {
    fixture.file("package.json", "{}");
    const recipe = await built(`FROM node:22-alpine
WORKDIR /app
COPY package*.json ./
RUN npm ci
COPY . .
ENV NODE_ENV=production
EXPOSE 3000
CMD ["node", "server.js"]`);
    expect(recipe).toMatchObject({
      argv: ["node", "server.js"],
      workingDir: within(""),
      environment: { NODE_ENV: "production" },
      expose: [3000],
      toolchains: [{ language: "node", version: "22", image: "node:22-alpine" }],
      installs: [{ folder: within(""), line: 4, installation: { tool: "npm", frozen: true } }],
      builds: [],
      notes: [],
    });
    expect(recipe.paths).toEqual([{ container: "/app", host: within("") }]);
  });

  it("a recipe maps folders that are copied one by one", async () => {
    fixture.file("app/main.py", "");
    fixture.file("requirements.txt", "");
    const recipe = await built(`FROM python:3.12
WORKDIR /code
COPY ./requirements.txt /code/requirements.txt
RUN pip install -r /code/requirements.txt
COPY ./app /code/app
CMD ["uvicorn", "app.main:app"]`);
    expect(recipe.workingDir).toBe(within(""));
    expect(recipe.installs).toMatchObject([{ folder: within("") }]);
    expect(recipe.paths).toContainEqual({ container: "/code/app", host: within("app") });
  });

  it("a recipe notes every command that is not run, with its line", async () => {
    const { notes, builds } = await built(`FROM python:3.12-slim
RUN apt-get update && apt-get install -y libpq-dev
WORKDIR /app
COPY . .
RUN curl -o /x https://example.com && python manage.py collectstatic --noinput
CMD python app.py`);
    expect(notes).toEqual([
      expect.stringMatching(/^Dockerfile line 2: .*libpq-dev/),
      expect.stringMatching(/^Dockerfile line 5: `curl -o \/x https:\/\/example.com` is not run/),
    ]);
    expect(builds).toMatchObject([{ text: "python manage.py collectstatic --noinput", line: 5 }]);
  });

  it("a recipe takes programs from images, files from stages, and nothing else", async () => {
    fixture.file("main.py", "");
    const recipe = await built(`FROM python:3.12 AS build
WORKDIR /src
COPY main.py extra.py ./
FROM python:3.12
COPY --from=ghcr.io/astral-sh/uv:latest /uv /uvx /licence /bin/
COPY --from=build /src/ /app/
COPY --from=build /usr/lib/x.so /usr/lib/
WORKDIR /app
CMD ["python", "main.py"]`);
    expect(recipe.tools).toEqual(["uv", "uvx"]);
    expect(recipe.paths).toContainEqual({ container: "/src/main.py", host: within("main.py") });
    expect(recipe.paths).toContainEqual({ container: "/app/src", host: within("") });
    expect(recipe.paths.map(({ container }) => container)).not.toContain("/usr/lib/x.so");
  });

  it("a file that is copied under another name says nothing about its folder, and neither does a pattern of folders", async () => {
    fixture.file("etc/dev.json", "");
    const { paths } = await built(`FROM node:22
COPY etc/dev.json /config/app.json
COPY packages/*/package.json /modules/
CMD ["node", "x"]`);
    expect(paths).toEqual([{ container: "/config/app.json", host: within("etc/dev.json") }]);
  });

  it("an installation without its files is noted, and one of named packages needs none", async () => {
    const { notes, installs } = await built(`FROM python:3.12
WORKDIR /opt/tools
RUN pip install -r requirements.txt
RUN pip install flask
CMD ["flask", "run"]`);
    expect(notes).toEqual([
      "Dockerfile line 3: `pip install -r requirements.txt` is not run: /opt/tools holds nothing of the project.",
    ]);
    expect(installs).toMatchObject([{ folder: within(""), line: 4, installation: { packages: ["flask"] } }]);
  });

  it("a recipe follows cd, takes tools, and places requirements outside of the copied folders as they are", async () => {
    fixture.file("web/package.json", "{}");
    const recipe = await built(`FROM node:22
WORKDIR /app
COPY . .
RUN corepack enable yarn
RUN cd web && npm ci
RUN ["npm", "run", "build"]
RUN pip install -r /other/requirements.txt
RUN ${"x".repeat(100)}
CMD ["node", "x"]`);
    expect(recipe.tools).toEqual(["yarn"]);
    expect(recipe.installs).toMatchObject([
      { folder: within("web"), line: 5 },
      { folder: within(""), installation: { requirements: ["/other/requirements.txt"] } },
    ]);
    expect(recipe.builds).toMatchObject([]);
    expect(recipe.notes).toEqual([
      `Dockerfile line 6: \`"npm" "run" "build"\` is not run without a container.`,
      `Dockerfile line 8: \`${"x".repeat(77)}...\` is not run without a container.`,
    ]);
  });

  it("the working directory of a compiled program is the build's context", async () => {
    fixture.file("go.mod", "module x");
    const { workingDir, argv } = await built(`FROM golang:1.22 AS build
WORKDIR /src
COPY . .
RUN go build -o /out/app "unfinished
FROM scratch
COPY --from=build /out/app /out/app
WORKDIR /out/app
CMD ["/out/app"]`);
    expect(argv).toEqual(["/out/app"]);
    expect(workingDir).toBe(within(""));
  });

  it("the only bound folder is the working directory of an image without one", async () => {
    fixture.file("web/x.js", "");
    fixture.file("data/y", "");
    const bind = (source: string, target: string) =>
      ({ type: "bind", source: within(source), target, readOnly: false }) as const;
    const dir = async (...mounts: ServiceDefinition["mounts"]) => {
      const one = service("web", { image: "node:22", command: ["node", "x.js"], mounts });
      return (await translateService(one, fixture.folder)).recipe?.workingDir;
    };
    expect(await dir(bind("web", "/srv"))).toBe(within("web"));
    expect(await dir(bind("web", "/srv"), bind("data", "/data"))).toBe(within(""));
    expect(await dir(bind("web/x.js", "/srv/x.js"))).toBe(within(""));
  });

  it("wrappers of containers and runners of environments are left out of the command", async () => {
    const argv = async (command: string[], entrypoint?: string[]) => {
      const fields = { command, ...(entrypoint === undefined ? {} : { entrypoint }) };
      return (await built("FROM python:3\nWORKDIR /app\nCOPY . .", fields)).argv;
    };
    expect(await argv(["node", "x"], ["/usr/bin/tini", "-g", "--"])).toEqual(["node", "x"]);
    expect(await argv(["python", "x"], ["dumb-init", "docker-entrypoint.sh"])).toEqual(["python", "x"]);
    expect(await argv(["uv", "run", "--group", "dev", "--frozen", "gunicorn", "x"])).toEqual(["gunicorn", "x"]);
    expect(await argv(["uv", "run", "--module", "x"])).toEqual(["python", "--module", "x"]);
    expect(await argv(["uv", "run"])).toEqual(["uv", "run"]);
    expect(await argv(["sh", "-c", "cd web; corepack enable pnpm; apt-get install -y x; exec node y"])).toEqual([
      "sh",
      "-c",
      "cd web; exec node y",
    ]);
    expect(await argv(["sh", "-c", "exec node y"])).toEqual(["node", "y"]);
    expect(await argv(["sh", "-c", "A=$B node y"])).toEqual(["sh", "-c", "A=$B node y"]);
    expect((await built('FROM python:3\nCMD ["a"]', { entrypoint: ["b"] })).argv).toEqual(["b"]);
  });

  it("a build that leads outside of the project, or has no such file or stage, is refused with the reason", async () => {
    const refused = (fields: Partial<NonNullable<ServiceDefinition["build"]>>, message: string, hint: string) =>
      expect(
        translateService(service("web", { build: { context: fixture.folder, args: {}, ...fields } }), fixture.folder),
      ).rejects.toThrowError(
        expect.objectContaining({
          code: "UNSUPPORTED",
          message: expect.stringContaining(`The local runtime cannot run "web": ${message}`),
          hint: expect.stringContaining(hint),
        }),
      );
    fixture.file("Dockerfile", "FROM node AS build\nCMD node x");
    await refused({ target: "web" }, "its Dockerfile has no stage web.", "services.web.build.target");
    await refused({ dockerfileInline: "# empty" }, "its Dockerfile has no FROM.", "Correct the Dockerfile");
    await refused({ dockerfileInline: "FROM node" }, "neither its Dockerfile nor", "Add services.web.command.");
    await refused({ dockerfile: "Other" }, `Other does not exist in ${fixture.folder}.`, "x-local.command");
    await refused({ dockerfile: "/etc/hostname" }, "", "Correct services.<name>.build.");
  });

  it("an image of a language without a command is refused", async () => {
    await expect(translateService(service("web", { image: "node:22" }), fixture.folder)).rejects.toThrowError(
      'The local runtime cannot run "web": neither its image\'s name nor the compose file says what it runs.',
    );
  });

  it("an image that resembles a database is refused with the setting that replaces it", async () => {
    await expect(translateService(service("db", { image: "bitnami/redis:7" }), fixture.folder)).rejects.toThrowError(
      expect.objectContaining({ hint: expect.stringMatching(/write services\.db\.x-local\.provider: redis\.$/) }),
    );
  });

  it("a Dockerfile that only adds files to a server's image becomes that server, and another one does not", async () => {
    const one = async (text: string) => {
      fixture.file("Dockerfile", text);
      return translateService(service("proxy", { build: { context: fixture.folder, args: {} } }), fixture.folder);
    };
    expect(await one("FROM nginx:1.27\nCOPY site.conf /etc/nginx/conf.d/default.conf\nENV PORT=80")).toMatchObject({
      server: "nginx",
      image: "nginx:1.27",
      environment: { PORT: "80" },
      mounts: [{ source: within("site.conf"), target: "/etc/nginx/conf.d/default.conf", readOnly: true }],
    });
    const built = await one("FROM node AS build\nFROM nginx\nCOPY --from=build /x /x\nCMD nginx");
    expect(built.server).toBeUndefined();
  });

  it("a compose file's command runs with x-local where the image does not matter", async () => {
    const one = service("web", { image: "acme/app", command: ["./run"], local: { environment: {} } });
    expect(await translateService(one, fixture.folder)).toBe(one);
    const entry = service("web", { entrypoint: ["./run"], local: { environment: {} } });
    expect(await translateService(entry, fixture.folder)).toBe(entry);
  });

  it("a recipe omits build commands whose result a bind of the sources would hide", async () => {
    fixture.file("package.json", "{}");
    const { builds, argv } = await built("FROM node\nWORKDIR /app\nCOPY . .\nRUN npm run build\nCMD npm start", {
      command: ["npm", "run", "dev"],
      mounts: [{ type: "bind", source: fixture.folder, target: "/app", readOnly: false }],
    });
    expect(builds).toEqual([]);
    expect(argv).toEqual(["npm", "run", "dev"]);
  });

  it("a recipe maps a compiled program to the path at which its stage builds it", async () => {
    fixture.file("go.mod", "module x");
    const { paths, argv, builds } = await built(`FROM golang:1.22 AS build
WORKDIR /src
COPY . .
RUN go build -o /bin/server ./cmd
FROM scratch
COPY --from=build /bin/server /server
ENTRYPOINT ["/server", "--quiet"]`);
    expect(argv).toEqual(["/server", "--quiet"]);
    expect(builds).toHaveLength(1);
    const host = (path: string) => paths.find(({ container }) => container === path)?.host;
    expect(host("/server")).toBe(host("/bin/server"));
  });

  it("a recipe moves installations and `uv run` out of the start command", async () => {
    fixture.file("package.json", "{}");
    const recipe = await built("FROM node:20\nWORKDIR /app\nCOPY . .", {
      command: ["sh", "-c", "npm install && npm run dev -- --host 0.0.0.0"],
    });
    expect(recipe.installs).toMatchObject([{ installation: { tool: "npm" }, line: null }]);
    expect(recipe.argv).toEqual(["npm", "run", "dev", "--", "--host", "0.0.0.0"]);
    const many = await built("FROM python:3\nWORKDIR /app\nCOPY . .", {
      command: ["bash", "-c", "poetry install; python manage.py migrate && exec poetry run gunicorn x"],
    });
    expect(many.argv).toEqual(["bash", "-c", "python manage.py migrate && exec gunicorn x"]);
    const uv = async (command: string[]) => (await built("FROM python:3\nWORKDIR /app\nCOPY . .", { command })).argv;
    expect(await uv(["uv", "run", "--no-dev", "main.py"])).toEqual(["python", "main.py"]);
    expect(await uv(["uv", "run", "-m", "shop.web"])).toEqual(["python", "-m", "shop.web"]);
    expect(await uv(["uv", "run", "fastapi", "dev"])).toEqual(["fastapi", "dev"]);
    expect(await uv(["sh", "-c", "uv run seed.py && exec uv run -m shop"])).toEqual([
      "sh",
      "-c",
      "python seed.py && exec python -m shop",
    ]);
  });

  it("a Dockerfile based on a database image becomes that database with the added files", async () => {
    fixture.file("Dockerfile", "FROM postgres:16\nCOPY init.sql /docker-entrypoint-initdb.d/\nENV POSTGRES_DB=shop");
    const one = await translateService(service("db", { build: { context: fixture.folder, args: {} } }), fixture.folder);
    expect(one).toMatchObject({
      local: { provider: "postgres" },
      environment: { POSTGRES_DB: "shop" },
      mounts: [{ type: "bind", target: "/docker-entrypoint-initdb.d/init.sql" }],
    });
  });

  it("a missing Dockerfile is reported together with other services that cannot run", async () => {
    const stack = definition([
      service("web", { build: { context: fixture.folder, args: {} } }),
      service("search", { image: "elasticsearch:8" }),
    ]);
    await expect(translate(stack, fixture.folder)).rejects.toThrowError(
      /"web": Dockerfile does not exist.* .*"search" \(elasticsearch:8\)/,
    );
  });

  it("a service exposes the ports that other services use in addresses", async () => {
    fixture.file("Dockerfile", "FROM node\nEXPOSE 4000\nCMD node x");
    const { services } = await translate(
      definition([
        service("api", { build: { context: fixture.folder, args: {} } }),
        service("web", { image: "node:20", command: ["node", "w.js"], environment: { API: "http://api:5000/v1" } }),
      ]),
      fixture.folder,
    );
    expect(services.api?.expose).toEqual([4000, 5000]);
  });
});
