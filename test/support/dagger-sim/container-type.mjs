/** `Container`: a value of which every `with…` returns a copy. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, posix } from "node:path";
import { EngineError } from "./errors.mjs";
import { resolveImage } from "./images.mjs";
import { runContainer } from "./running.mjs";
import { findUser } from "./users.mjs";

export const emptyContainer = {
  type: "Container",
  layers: [],
  binds: [],
  env: [],
  secretEnv: [],
  entrypoint: [],
  args: [],
  user: "",
  workdir: "",
  labels: [],
  mounts: [],
  ports: [],
  bindings: [],
  image: "",
  last: null,
};

const without = (pairs, name) => pairs.filter(([one]) => one !== name);
const absolute = (container, path) => posix.resolve(container.workdir || "/", path);
const expanded = (container, text, expand) =>
  expand ? text.replace(/\$\{?(\w+)\}?/g, (_all, name) => new Map(container.env).get(name) ?? "") : text;

/** Adds a layer that `change` fills. */
function layered(session, container, change) {
  const path = session.trees.fresh();
  mkdirSync(path, { mode: 0o755 });
  change(path);
  return { ...container, layers: [path, ...container.layers] };
}

const ownerOf = (container, owner) => (owner === undefined ? undefined : findUser(container.layers, owner));

/** Resolves links of the skeleton (`/bin`), and paths of the host that are mounted in it. */
function found(container, path) {
  const wanted = absolute(container, path);
  const own = container.layers.map((layer) => join(layer, wanted)).find((one) => existsSync(one));
  if (own !== undefined) return own;
  const [, first, ...rest] = wanted.split("/");
  const link = container.layers
    .map((layer) => join(layer, first))
    .find((one) => lstatSync(one, { throwIfNoEntry: false })?.isSymbolicLink());
  const real = link === undefined ? wanted : posix.join("/", readlinkSync(link), ...rest);
  return container.binds.some((bind) => real.startsWith(`${bind}/`)) && existsSync(real) ? real : undefined;
}

async function exec({ session, parent }, container, { args, useEntrypoint = false, expect = "SUCCESS", noInit }) {
  const argv = [...(useEntrypoint ? container.entrypoint : []), ...(args.length > 0 ? args : container.args)];
  const span = session.telemetry.span(parent, `exec ${argv.join(" ")}`, { links: [parent] });
  await session.services.bind(container, {}, parent);
  const running = await runContainer(session, container, {
    args: argv,
    noInit,
    output: (stream, chunk) => session.telemetry.output(parent, stream, chunk),
    eof: (stream) => session.telemetry.eof(parent, stream),
  });
  session.commands.add(running);
  const { code } = await running.exited;
  session.commands.delete(running);
  span.event("Container exited", [{ key: "exit.code", value: { intValue: String(code) } }]);
  span.end(code === 0 ? "" : `exit code: ${code}`);
  const [stdout, stderr] = [running.kept[1], running.kept[2]];
  if (code !== 0 && expect === "SUCCESS")
    throw new EngineError(`exit code: ${code}`, { _type: "EXEC_ERROR", cmd: argv, exitCode: code, stdout, stderr });
  return { ...container, layers: [running.upper, ...container.layers], last: { stdout, stderr, code } };
}

const last = (container) => {
  if (container.last === null) throw new EngineError("no command has been set");
  return container.last;
};

/** Fields: `(context, container, args) => value`. */
export const containerFields = {
  from: async ({ session, parent }, container, { address }) => {
    const span = session.telemetry.span(parent, `resolving ${address}`);
    try {
      const image = await resolveImage(session.engine, address);
      span.end();
      const { root, binds, env, entrypoint, args, user, workdir } = image;
      const ports = image.ports.map((port) => ({ port, protocol: "TCP", skip: false }));
      return { ...container, layers: [root], binds, env, entrypoint, args, user, workdir, ports, image: image.address };
    } catch (error) {
      span.end(error.message);
      throw new EngineError(error.message);
    }
  },
  withEnvVariable: (_, container, { name, value, expand }) => ({
    ...container,
    env: [...without(container.env, name), [name, expanded(container, value, expand)]],
  }),
  withoutEnvVariable: (_, container, { name }) => ({ ...container, env: without(container.env, name) }),
  withSecretVariable: (_, container, { name, secret }) => ({
    ...container,
    secretEnv: [...without(container.secretEnv, name), [name, secret.name]],
  }),
  withoutSecretVariable: (_, container, { name }) => ({ ...container, secretEnv: without(container.secretEnv, name) }),
  withEntrypoint: (_, container, { args, keepDefaultArgs = false }) => ({
    ...container,
    entrypoint: args,
    args: keepDefaultArgs ? container.args : [],
  }),
  withoutEntrypoint: (_, container, { keepDefaultArgs = false }) => ({
    ...container,
    entrypoint: [],
    args: keepDefaultArgs ? container.args : [],
  }),
  withDefaultArgs: (_, container, { args }) => ({ ...container, args }),
  withoutDefaultArgs: (_, container) => ({ ...container, args: [] }),
  withUser: (_, container, { name }) => ({ ...container, user: name }),
  withoutUser: (_, container) => ({ ...container, user: "" }),
  withWorkdir: (_, container, { path, expand }) => ({
    ...container,
    workdir: absolute(container, expanded(container, path, expand)),
  }),
  withLabel: (_, container, { name, value }) => ({
    ...container,
    labels: [...without(container.labels, name), [name, value]],
  }),
  withExposedPort: (_, container, { port, protocol = "TCP", experimentalSkipHealthcheck = false }) => ({
    ...container,
    ports: [
      ...container.ports.filter((one) => one.port !== port),
      { port, protocol, skip: experimentalSkipHealthcheck || protocol === "UDP" },
    ],
  }),
  withoutExposedPort: (_, container, { port }) => ({
    ...container,
    ports: container.ports.filter((one) => one.port !== port),
  }),
  withDockerHealthcheck: (_, container, healthcheck) => ({ ...container, healthcheck }),
  withoutDockerHealthcheck: (_, container) => ({ ...container, healthcheck: null }),
  dockerHealthcheck: (_, { healthcheck }) =>
    healthcheck == null ? null : { type: "HealthcheckConfig", ...healthcheck },
  withServiceBinding: (_, container, { alias, service }) => ({
    ...container,
    bindings: [...container.bindings, { alias, service }],
  }),
  withMountedFile: (_, container, { path, source, owner }) =>
    mounted(container, path, { kind: "file", source: source.path, owner }),
  withMountedDirectory: (_, container, { path, source, owner, readOnly }) =>
    mounted(container, path, { kind: "directory", source: source.path, owner, readOnly }),
  withMountedCache: (_, container, { path, cache, owner }) =>
    mounted(container, path, { kind: "cache", key: cache.key, owner: owner ?? cache.owner }),
  withMountedTemp: (_, container, { path, size }) => mounted(container, path, { kind: "temp", size }),
  withMountedSecret: (_, container, { path, source, owner, mode }) =>
    mounted(container, path, { kind: "secret", secret: source.name, owner, mode }),
  withoutMount: (_, container, { path }) => ({
    ...container,
    mounts: container.mounts.filter(({ target }) => target !== absolute(container, path)),
  }),
  withNewFile: ({ session }, container, { path, contents, permissions, owner }) =>
    layered(session, container, (root) =>
      session.trees.write(root, absolute(container, path), contents, { permissions, owner: ownerOf(container, owner) }),
    ),
  withFile: ({ session }, container, { path, source, permissions, owner }) =>
    layered(session, container, (root) =>
      session.trees.write(root, absolute(container, path), readFileSync(source.path), {
        permissions: permissions ?? lstatSync(source.path).mode & 0o7777,
        owner: ownerOf(container, owner),
      }),
    ),
  withDirectory: ({ session }, container, { path, source, include, exclude, owner }) =>
    layered(session, container, (root) => {
      const at = join(root, absolute(container, path));
      mkdirSync(at, { recursive: true, mode: 0o755 });
      session.trees.copy(source.path, at, { include, exclude, owner: ownerOf(container, owner) });
    }),
  withExec: exec,
  asService: ({ session, span }, container, { args, useEntrypoint = false, noInit = false }) => {
    const argv =
      args === undefined
        ? [...container.entrypoint, ...container.args]
        : [...(useEntrypoint ? container.entrypoint : []), ...args];
    return session.made(
      { type: "Service", kind: "container", container: { ...container, last: null }, args: argv, noInit, hostname: "" },
      span,
    );
  },
  sync: (_, container) => container,
  stdout: (_, container) => last(container).stdout,
  stderr: (_, container) => last(container).stderr,
  exitCode: (_, container) => last(container).code,
  combinedOutput: (_, container) => last(container).stdout + last(container).stderr,
  entrypoint: (_, container) => container.entrypoint,
  defaultArgs: (_, container) => container.args,
  user: (_, container) => container.user,
  workdir: (_, container) => container.workdir,
  platform: () => "linux/amd64",
  imageRef: (_, container) => container.image,
  label: (_, container, { name }) => new Map(container.labels).get(name) ?? null,
  envVariable: (_, container, { name }) => new Map(container.env).get(name) ?? null,
  envVariables: (_, container) => container.env.map(([name, value]) => ({ type: "EnvVariable", name, value })),
  labels: (_, container) => container.labels.map(([name, value]) => ({ type: "Label", name, value })),
  exposedPorts: (_, container) =>
    container.ports.map(({ port, protocol, skip }) => ({
      type: "Port",
      port,
      protocol,
      experimentalSkipHealthcheck: skip,
    })),
  exists: (_, container, { path }) => found(container, path) !== undefined,
  file: (_, container, { path }) => {
    const at = found(container, path);
    if (at === undefined) throw new EngineError(`file ${path}: no such file or directory`);
    return { type: "File", path: at, name: posix.basename(path) };
  },
  directory: ({ session }, container, { path }) => {
    const at = container.layers.map((layer) => join(layer, absolute(container, path))).filter((one) => existsSync(one));
    if (at.length === 0) throw new EngineError(`directory ${path}: no such file or directory`);
    const joined = session.trees.fresh();
    for (const one of at.reverse()) session.trees.copy(one, joined);
    return { type: "Directory", path: joined };
  },
  rootfs: (_, container) => ({ type: "Directory", path: container.layers[0] ?? "/nonexistent" }),
};

function mounted(container, path, mount) {
  const target = absolute(container, path);
  return { ...container, mounts: [...container.mounts.filter((one) => one.target !== target), { ...mount, target }] };
}

export const entriesOf = (path) =>
  readdirSync(path, { withFileTypes: true }).map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
