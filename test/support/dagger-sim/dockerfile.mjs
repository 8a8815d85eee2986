/** Dagger's own build, as far as Dockerfiles of development services need it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { containerFields, emptyContainer } from "./container-type.mjs";
import { EngineError } from "./errors.mjs";
import { ignored } from "./trees.mjs";

const words = (text) => (text.trimStart().startsWith("[") ? JSON.parse(text) : ["/bin/sh", "-c", text]);

/** `--interval=5s CMD curl …`: a command without brackets runs in a shell. */
function healthcheck(text) {
  const command = text.replace(/^.*?CMD\s+/, "");
  const interval = /--interval=(\S+)/.exec(text)?.[1] ?? "0s";
  return command.trimStart().startsWith("[")
    ? { args: JSON.parse(command), shell: false, interval }
    : { args: [command], shell: true, interval };
}

export async function dockerBuild(context, directory, { dockerfile = "Dockerfile", target, buildArgs = [] }) {
  const path = join(directory.path, dockerfile);
  if (!existsSync(path))
    throw new EngineError(`failed to read dockerfile: open ${dockerfile}: no such file or directory`);
  const given = new Map(buildArgs.map(({ name, value }) => [name, value]));
  const values = new Map();
  const fill = (text) => text.replace(/\$\{?(\w+)\}?/g, (_all, name) => values.get(name) ?? "");
  const apply = (name, container, args) => containerFields[name](context, container, args);
  const exclude = ignored(join(directory.path, ".dockerignore"));
  const stages = new Map();
  let container = emptyContainer;
  let stage = "";
  const text = readFileSync(path, "utf8").replace(/\\\n/g, " ");
  for (const line of text.split("\n")) {
    const found = /^\s*([A-Za-z]+)\s+(.*)$/.exec(line);
    if (found === null || line.trimStart().startsWith("#")) continue;
    const [, command, rest] = found;
    const parts = fill(rest).split(/\s+/);
    switch (command.toUpperCase()) {
      case "ARG": {
        const [name, value = ""] = rest.split("=");
        values.set(name, given.get(name) ?? value);
        if (container.image !== "") container = apply("withEnvVariable", container, { name, value: values.get(name) });
        break;
      }
      case "FROM":
        if (stage !== "" && stage === target) return container;
        stage = parts[2] ?? "";
        container = stages.get(parts[0]) ?? (await apply("from", emptyContainer, { address: parts[0] }));
        break;
      case "RUN": {
        const span = context.session.telemetry.span(context.parent, `RUN ${rest}`);
        container = await apply("withExec", container, { args: words(rest) });
        span.end();
        break;
      }
      case "COPY":
      case "ADD": {
        const options = parts.filter((part) => part.startsWith("--"));
        const owner = options.find((one) => one.startsWith("--chown="))?.slice("--chown=".length);
        const sources = parts.slice(options.length, -1);
        const to = parts.at(-1);
        for (const source of sources) {
          const from = join(directory.path, source);
          if (!existsSync(from)) throw new EngineError(`failed to compute cache key: "/${source}": not found`);
          const single = existsSync(join(from, ".")) === false;
          container = single
            ? apply("withFile", container, {
                path: to.endsWith("/") || to === "." ? join(to, source) : to,
                source: { path: from },
                owner,
              })
            : apply("withDirectory", container, { path: to, source: { path: from }, exclude, owner });
        }
        break;
      }
      case "ENV":
        for (const pair of fill(rest).match(/\w+=(?:"[^"]*"|\S+)/g) ?? []) {
          const [name, ...value] = pair.split("=");
          container = apply("withEnvVariable", container, { name, value: value.join("=").replace(/^"|"$/g, "") });
        }
        break;
      case "USER":
        container = apply("withUser", container, { name: parts[0] });
        break;
      case "WORKDIR":
        container = apply("withWorkdir", container, { path: parts[0] });
        break;
      case "ENTRYPOINT":
        container = apply("withEntrypoint", container, { args: words(rest) });
        break;
      case "CMD":
        container = apply("withDefaultArgs", container, { args: words(rest) });
        break;
      case "EXPOSE":
        container = apply("withExposedPort", container, { port: Number.parseInt(parts[0], 10) });
        break;
      case "HEALTHCHECK":
        container =
          rest.trim() === "NONE"
            ? apply("withoutDockerHealthcheck", container, {})
            : apply("withDockerHealthcheck", container, healthcheck(rest));
        break;
      case "LABEL":
      case "VOLUME":
      case "STOPSIGNAL":
      case "SHELL":
      case "MAINTAINER":
        break;
      default:
        throw new EngineError(`dockerfile parse error: unknown instruction: ${command}`);
    }
    if (stage !== "") stages.set(stage, container);
  }
  if (target !== undefined && target !== stage) throw new EngineError(`target stage "${target}" could not be found`);
  return container;
}
