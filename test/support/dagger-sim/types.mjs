/** All types except `Container`: `(context, self, args) => value`. */
import { copyFileSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { containerFields, emptyContainer, entriesOf } from "./container-type.mjs";
import { dockerBuild } from "./dockerfile.mjs";
import { EngineError } from "./errors.mjs";

const changed = ({ session }, directory, change) => session.trees.changed(directory, change);

const hostPath = (path) => {
  try {
    return lstatSync(path) && path;
  } catch {
    throw new EngineError(`lstat ${path}: no such file or directory`);
  }
};

const uploaded = ({ session, parent }, path, filters) => {
  const span = session.telemetry.span(parent, `upload ${path}`);
  const copy = session.trees.fresh();
  session.trees.copy(hostPath(path), copy, filters);
  span.end();
  return copy;
};

export const types = {
  Query: {
    version: ({ session }) => session.engine.faults().version ?? "v0.21.8",
    container: () => emptyContainer,
    directory: ({ session }) => session.trees.empty(),
    file: ({ session }, _, { name, contents, permissions }) => session.trees.file(name, contents, permissions),
    cacheVolume: (_, __, { key, owner }) => ({ type: "CacheVolume", key: encodeURIComponent(key), owner }),
    setSecret: ({ session }, _, { name, plaintext }) => {
      session.secrets.set(name, plaintext);
      return { type: "Secret", name };
    },
    host: () => ({ type: "Host" }),
    engine: () => ({ type: "Engine" }),
    defaultPlatform: () => "linux/amd64",
    node: ({ session }, _, { id }) => session.byId(id),
  },
  Container: containerFields,
  Directory: {
    entries: (_, directory, { path = "." }) => entriesOf(join(directory.path, path)),
    file: (_, directory, { path }) => ({
      type: "File",
      path: join(directory.path, path),
      name: path.split("/").at(-1),
    }),
    directory: (_, directory, { path }) => ({ type: "Directory", path: join(directory.path, path) }),
    sync: (_, directory) => directory,
    withNewFile: (context, directory, { path, contents, permissions }) =>
      changed(context, directory, (root) => context.session.trees.write(root, path, contents, { permissions })),
    withNewDirectory: (context, directory, { path, permissions }) =>
      changed(context, directory, (root) =>
        mkdirSync(join(root, path), { recursive: true, mode: permissions ?? 0o755 }),
      ),
    withFile: (context, directory, { path, source, permissions }) =>
      changed(context, directory, (root) =>
        context.session.trees.write(root, path, readFileSync(source.path), { permissions }),
      ),
    withDirectory: (context, directory, { path, source, include, exclude }) =>
      changed(context, directory, (root) => {
        mkdirSync(join(root, path), { recursive: true });
        context.session.trees.copy(source.path, join(root, path), { include, exclude });
      }),
    withSymlink: (context, directory, { target, linkName }) =>
      changed(context, directory, (root) => symlinkSync(target, join(root, linkName))),
    withoutFile: (context, directory, { path }) =>
      changed(context, directory, (root) => rmSync(join(root, path), { force: true })),
    withoutDirectory: (context, directory, { path }) =>
      changed(context, directory, (root) => rmSync(join(root, path), { recursive: true, force: true })),
    dockerBuild,
  },
  File: {
    contents: (_, file) => readFileSync(file.path, "utf8"),
    name: (_, file) => file.name,
    size: (_, file) => lstatSync(file.path).size,
    sync: (_, file) => file,
    export: (_, file, { path }) => {
      copyFileSync(file.path, path);
      return path;
    },
  },
  Service: {
    withHostname: ({ session, span }, service, { hostname }) => session.made({ ...service, hostname }, span),
    hostname: (_, service) => service.hostname,
    ports: (_, { container }) => containerFields.exposedPorts(null, container ?? emptyContainer),
    endpoint: (_, service, { port, scheme }) => {
      const chosen = port ?? service.container?.ports[0]?.port ?? service.ports?.[0]?.frontend;
      if (chosen === undefined) throw new EngineError("no ports exposed");
      return `${scheme === undefined ? "" : `${scheme}://`}${service.hostname}:${chosen}`;
    },
    start: async ({ session, parent }, service) => {
      await session.services.start(service, parent);
      return service;
    },
    stop: async ({ session }, service, { kill = false }) => {
      await session.services.stop(service, kill);
      return service;
    },
    sync: (_, service) => service,
  },
  Host: {
    directory: (context, _, { path, include, exclude }) => ({
      type: "Directory",
      path: uploaded(context, path, { include, exclude }),
    }),
    file: (context, _, { path }) => ({ type: "File", path: uploaded(context, path, {}), name: path.split("/").at(-1) }),
    service: ({ session, span }, _, { host = "localhost", ports }) =>
      session.made({ type: "Service", kind: "host", host, ports, hostname: "" }, span),
    tunnel: ({ session, span }, _, { service, ports = [] }) =>
      session.made({ type: "Service", kind: "tunnel", upstream: service, ports, hostname: "" }, span),
  },
  Engine: { localCache: () => ({ type: "EngineCache" }), name: () => "dagger-sim" },
  EngineCache: { prune: () => null },
  CacheVolume: {},
  Secret: { name: (_, secret) => secret.name, plaintext: ({ session }, secret) => session.secret(secret.name) },
  EnvVariable: { name: (_, one) => one.name, value: (_, one) => one.value },
  Label: { name: (_, one) => one.name, value: (_, one) => one.value },
  HealthcheckConfig: Object.fromEntries(
    ["args", "shell", "retries", "interval", "timeout", "startPeriod", "startInterval"].map((name) => [
      name,
      (_, one) => one[name] ?? { args: [], shell: false, retries: 0 }[name] ?? "0s",
    ]),
  ),
  Port: {
    port: (_, one) => one.port,
    protocol: (_, one) => one.protocol,
    experimentalSkipHealthcheck: (_, one) => one.experimentalSkipHealthcheck,
  },
};

/** Arguments that contain ids of objects. */
export const OBJECTS = new Set(["source", "cache", "secret", "service", "directory", "secrets"]);

/** Fields that are evaluated at every call. */
export const EFFECTS = new Set(["version", "start", "stop", "setSecret", "plaintext", "prune", "export"]);

/** Fields that return an object's id instead of the object. */
export const GIVES_ID = new Set(["sync", "start", "stop"]);
