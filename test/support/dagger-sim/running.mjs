/** Runs a container as a service or for one command, and keeps its bundle where `runc` looks for it. */
import { lstatSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCgroups, removeCgroups } from "./cgroups.mjs";
import { EngineError } from "./errors.mjs";
import { innerPid, launch } from "./launch.mjs";
import { masking } from "./mask.mjs";
import { randomHex } from "./names.mjs";
import { own } from "./trees.mjs";
import { findUser, ownerOf } from "./users.mjs";

const MOST_KEPT = 64 * 1024;
const signalNumber = { SIGKILL: 9, SIGTERM: 15 };

/** Copies of mounted folders, so that a container can write to them and their owner matters. */
function prepared(session, container, folder) {
  return container.mounts.map((mount, index) => {
    const { kind, target, owner, readOnly = false, size = 0 } = mount;
    if (kind === "temp") return { target, tmpfs: size };
    const who = owner === undefined ? undefined : ownerOf(container.layers, owner);
    if (kind === "cache") {
      // A different owner has a different volume.
      const name = who === undefined ? mount.key : `${mount.key}@${who.uid}:${who.gid}`;
      const path = join(session.engine.part("cache"), name);
      if (mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined && who !== undefined) own(path, who);
      return { target, source: path };
    }
    if (kind === "secret") {
      const path = join(folder, `secret-${index}`);
      writeFileSync(path, session.secret(mount.secret), { mode: mount.mode ?? 0o400 });
      own(path, who ?? { uid: 0, gid: 0 });
      return { target, source: path, readOnly: true, isFile: true };
    }
    const path = join(folder, `mount-${index}`);
    session.trees.copy(mount.source, path);
    own(path, who ?? { uid: 0, gid: 0 });
    return { target, source: path, readOnly, isFile: lstatSync(path).isFile() };
  });
}

/**
 * @param {any} session
 * @param {any} container
 * @param {{ args: string[], noInit?: boolean, hostname?: string, output?: (stream: 1 | 2, chunk: Buffer) => void, eof?: (stream: 1 | 2) => void }} run
 */
export async function runContainer(session, container, { args, noInit = false, hostname, output, eof }) {
  await session.network.open();
  if (session.closed) throw new EngineError("the session has ended");
  const id = randomHex(12);
  const folder = session.engine.part("containers", id);
  const user = findUser(container.layers, container.user);
  const env = new Map(container.env);
  if (!env.has("PATH")) env.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  for (const [name, secret] of container.secretEnv) env.set(name, session.secret(secret));
  if (!env.has("HOME")) env.set("HOME", user.home);
  // Environment for programs that report to the engine, in place of the service's except for the exporter.
  for (const name of ["ENDPOINT", "LOGS_ENDPOINT", "PROTOCOL"]) env.set(`OTEL_EXPORTER_OTLP_${name}`, "the engine's");
  env.set("TRACEPARENT", "the engine's");
  if (!env.has("OTEL_TRACES_EXPORTER")) env.set("OTEL_TRACES_EXPORTER", "otlp");
  const cgroups = makeCgroups(session.engine, id) ?? [];
  const network = session.network.address();
  const cwd = container.workdir || "/";
  const bundle = {
    ociVersion: "1.2.1",
    process: {
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups.map(Number) },
      args: noInit ? args : ["/.init", ...args],
      env: [...env].map(([name, value]) => `${name}=${value}`),
      cwd,
    },
    root: { path: join(folder, "root") },
    hostname: hostname ?? id.slice(0, 12),
    mounts: noInit ? [] : [{ destination: "/.init", type: "bind" }],
    linux: { cgroupsPath: `/buildkit/${id}` },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(bundle), { mode: 0o600 });
  // What `runc` needs of it, in a form that is read without a parser.
  writeFileSync(join(folder, "process"), [user.uid, user.gid, cwd].join("\0"));
  writeFileSync(join(folder, "cgroups"), cgroups.map(({ controller, path }) => `${controller}\t${path}\n`).join(""));
  const child = launch({
    folder,
    session: { hostsFile: session.network.hostsFile, holder: session.network.holder },
    network,
    image: { binds: container.binds },
    lower: container.layers,
    mounts: prepared(session, container, folder),
    cgroups,
    user,
    cwd,
    env: [...env],
    args,
    noInit,
  });
  if (hostname !== undefined) session.network.name(hostname, network.address);
  const kept = { 1: "", 2: "" };
  const secrets = [
    ...container.secretEnv.map(([, secret]) => session.secret(secret)),
    ...container.mounts.filter(({ kind }) => kind === "secret").map(({ secret }) => session.secret(secret)),
  ];
  const take = (stream, chunk) => {
    if (chunk.length === 0) return;
    if (kept[stream].length < MOST_KEPT) kept[stream] += chunk;
    output?.(stream, chunk);
  };
  for (const [stream, source] of [
    [1, child.stdout],
    [2, child.stderr],
  ]) {
    const mask = masking(secrets);
    source.on("data", (chunk) => take(stream, mask.next(chunk)));
    source.once("end", () => {
      take(stream, mask.end());
      eof?.(stream);
    });
  }
  const state = { pid: 0, ended: false };
  const started = new Promise((resolve) => {
    child.stdio[3].once("data", () => {
      state.pid = innerPid(child.pid) ?? 0;
      const record = {
        ociVersion: "1.2.1",
        id,
        pid: state.pid,
        status: "running",
        bundle: folder,
        rootfs: join(folder, "root"),
        created: new Date().toISOString(),
        owner: "",
      };
      writeFileSync(join(folder, "state.json"), JSON.stringify(record, null, 2));
      resolve(true);
    });
    child.stdio[3].once("end", () => resolve(false));
  });
  const exited = new Promise((resolve) => {
    // Its id can soon be that of another process.
    child.once("exit", () => {
      state.ended = true;
    });
    child.once("close", (code, signal) => {
      rmSync(join(folder, "state.json"), { force: true });
      if (hostname !== undefined && session.network.addressOf(hostname) === network.address)
        session.network.name(hostname, null);
      removeCgroups(cgroups);
      resolve({ code: code ?? 128 + (signalNumber[signal] ?? 9) });
    });
  });
  return {
    id,
    folder,
    address: network.address,
    started,
    exited,
    kept,
    /** Sends a signal to the container's first process, which forwards it; SIGKILL ends all processes. */
    kill: (signal) => {
      if (state.ended) return;
      try {
        process.kill(state.pid || innerPid(child.pid) || child.pid, signal);
      } catch {
        // The process has ended.
      }
    },
    upper: join(folder, "upper"),
    forget: () => rmSync(folder, { recursive: true, force: true }),
  };
}
