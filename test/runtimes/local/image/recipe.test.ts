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
