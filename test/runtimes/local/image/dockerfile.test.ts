import { describe, expect, it } from "vitest";
import { meaningOf } from "../../../../src/runtimes/local/image/classify.js";
import { readDockerfile } from "../../../../src/runtimes/local/image/dockerfile.js";
import { processorClock } from "../../../support/processor-time.js";

const read = (text: string, args?: Record<string, string>, target?: string) => {
  const recipe = readDockerfile(text, args, target);
  if (recipe === null) throw new Error("no such stage");
  return recipe;
};

describe("readDockerfile", () => {
  it("readDockerfile reads the instructions of the last stage", () => {
    const recipe = read(`# syntax=docker/dockerfile:1
ARG VERSION=20
FROM --platform=linux/amd64 node:\${VERSION}-alpine
ENV NODE_ENV=production LABEL="two words"
ENV OLD style of it
WORKDIR /usr/src
WORKDIR app
USER node
EXPOSE 3000 9229/tcp 53/udp
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node", "a b.js"]
`);
    expect(recipe).toMatchObject({
      base: "node:20-alpine",
      workdir: "/usr/src/app",
      env: { NODE_ENV: "production", LABEL: "two words", OLD: "style of it" },
      user: "node",
      expose: [3000, 9229],
      stopSignal: "SIGINT",
      entrypoint: { form: "exec", words: ["docker-entrypoint.sh"] },
      cmd: { form: "exec", words: ["node", "a b.js"] },
      problems: [],
    });
  });

  it("readDockerfile applies build arguments and their defaults", () => {
    const text = `ARG TAG=1
FROM x:\${TAG}
ARG MODE
ARG LEVEL=\${MODE:-low}
ENV LEVEL=$LEVEL PRICE=\\$5
RUN echo $LEVEL`;
    expect(read(text, { TAG: "2", MODE: "high" })).toMatchObject({ base: "x:2", env: { LEVEL: "high", PRICE: "$5" } });
    expect(read(text).env.LEVEL).toBe("low");
  });

  it("readDockerfile replaces variables as Docker does", () => {
    const { env } = read(`ARG A
LABEL before=from
FROM x
ARG SET=1
ARG EMPTY
ENV PLUS=\${SET:+yes} NONE=\${EMPTY:+yes} MINUS=\${EMPTY-word} MISSING=$NOTHING
ENV ESCAPED="\\$SET" OTHER=a\\qb QUOTED="a\\qb"`);
    expect(env).toEqual({
      PLUS: "yes",
      NONE: "",
      MINUS: "word",
      MISSING: "",
      ESCAPED: "$SET",
      OTHER: "aqb",
      QUOTED: "a\\qb",
    });
  });

  it("readDockerfile ignores instructions without a meaning, and those that are incomplete", () => {
    const { steps, problems, cmd } = read(`FROM x
LABEL a=b
HEALTHCHECK NONE
COPY onlyone
WORKDIR
CMD [1, 2]`);
    expect(steps).toEqual([]);
    expect(problems).toEqual([]);
    // As in Docker, a list that does not consist of texts is a shell command.
    expect(cmd).toEqual({ form: "shell", text: "[1, 2]" });
  });

  it("readDockerfile reads a script whose end is missing, and a flag after a continuation", () => {
    const { steps } = read(`FROM x
RUN \\
  --mount=type=cache,target=/c npm ci
RUN <<EOF
npm test`);
    expect(steps.map((step) => step.kind === "run" && step.command)).toEqual([
      { form: "shell", text: "npm ci" },
      { form: "shell", text: "npm test" },
    ]);
  });

  it("an ENTRYPOINT discards the CMD of the parent stage and keeps the CMD of the same stage", () => {
    const text = (more: string) => `FROM x AS base\nCMD ["old"]\nFROM base\n${more}\nENTRYPOINT ["run"]`;
    expect(read(text("")).cmd).toBeUndefined();
    expect(read(text('CMD ["new"]')).cmd).toEqual({ form: "exec", words: ["new"] });
  });

  it("a stage can be named by its number, and a name that a later stage has is an image", () => {
    const text = "FROM a\nFROM later AS b\nCOPY --from=0 /x /x\nFROM c AS later";
    expect(read(text, {}, "0").base).toBe("a");
    expect(read(text, {}, "1")).toMatchObject({ base: "later", steps: [{ from: "0" }] });
  });

  it("readDockerfile lists COPY and RUN steps with line and folder, without comments and flags", () => {
    const { steps } = read(`FROM node:22
WORKDIR /app
COPY --chown=node:node package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci && \\
    # why
    npm run build
RUN <<EOF
npm test
EOF
RUN ["npm", "run", "x"]
COPY ["a b.txt", "/data/"]
ADD https://example.com/x.tar /x/
`);
    expect(steps).toMatchObject([
      { kind: "copy", line: 3, sources: ["package.json", "package-lock.json"], target: "/app/" },
      {
        kind: "run",
        line: 4,
        cwd: "/app",
        command: { form: "shell", text: expect.stringMatching(/^npm ci && +npm run build$/) },
      },
      { kind: "run", line: 7, command: { form: "shell", text: "npm test\n" } },
      { kind: "run", line: 10, command: { form: "exec", words: ["npm", "run", "x"] } },
      { kind: "copy", line: 11, sources: ["a b.txt"], target: "/data/" },
    ]);
  });

  it("readDockerfile reports instructions that are not executed, with their lines", () => {
    const { problems } = read('FROM x\nSHELL ["/bin/bash"]\nADD https://example.com/x.tar /x/');
    expect(problems).toEqual([
      { line: 2, message: "SHELL is not used: commands run in /bin/sh." },
      { line: 3, message: "ADD of https://example.com/x.tar is not carried out." },
    ]);
  });

  it("the steps of the stages that a stage uses come first, each once", () => {
    const text = `FROM node:22 AS base
WORKDIR /app
FROM base AS deps
RUN npm ci
FROM base AS unused
RUN npm run unused
FROM base AS build
COPY --from=deps /app/node_modules ./node_modules
RUN npm run build
FROM base
COPY --from=deps /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
CMD node dist/main.js`;
    const recipe = read(text);
    expect(recipe.base).toBe("node:22");
    expect(recipe.cmd).toEqual({ form: "shell", text: "node dist/main.js" });
    const shown = recipe.steps.map((step) =>
      step.kind === "run" && step.command.form === "shell" ? step.command.text : (step as { from?: string }).from,
    );
    expect(shown).toEqual(["npm ci", "deps", "deps", "npm run build", "build"]);
    expect(read(text, {}, "deps").steps).toHaveLength(1);
    expect(readDockerfile(text, {}, "missing")).toBeNull();
  });

  // An earlier version took more than 6 s.
  it("readDockerfile and meaningOf take time linear in the length of their input", () => {
    const elapsed = processorClock();
    readDockerfile(`FROM node:20\nRUN <<EOF\n${"\n".repeat(60_000)}x\nEOF\n`);
    meaningOf(`a${" ".repeat(60_000)}b`);
    expect(elapsed()).toBeLessThan(3000);
  });
});
