/**
 * Checks whether there is a CLI and whether the engine is reachable. It has no side effects, and every query has a
 * deadline.
 */
import { connect } from "node:net";
import { executable, findProgram, lookUpProgram, refusedPrograms } from "../../../system/find-program.js";
import { archiveName, downloadedCli } from "./download.js";
import { CLI_VARIABLE, type Engine } from "./engines.js";
import { ask } from "./programs.js";
import { judgeVersion, SDK_VERSION } from "./versions.js";

/** Deadline of each query, in milliseconds; queries run concurrently. */
const DEADLINE_MS = 700;

export interface Finding {
  check: string;
  ok: boolean;
  message: string;
  fix?: string;
}

/** Programs with which the CLI can start an engine. */
const CONTAINER_RUNTIMES = ["docker", "podman", "nerdctl"] as const;

const INSTALL = `Install the Dagger CLI ${SDK_VERSION} (https://docs.dagger.io/install), or name it in ${CLI_VARIABLE}.`;

/**
 * `named`: the environment names one, so that no other one takes its place. `refused`: a sentence about programs that were
 * not trusted, or empty.
 */
export type CliLookup = { path: string } | { missing: string; named: boolean; refused: string };

/**
 * @param programs folder of a downloaded CLI, which is used when none is installed
 * @returns the path of the CLI, or the reason why there is none
 */
export async function findCli(env: NodeJS.ProcessEnv, programs?: string): Promise<CliLookup> {
  const named = env[CLI_VARIABLE];
  if (named !== undefined && named !== "") {
    const program = await executable(named);
    return program === null
      ? { missing: `${CLI_VARIABLE} names ${named}, which is not an executable file.`, named: true, refused: "" }
      : { path: program };
  }
  const lookup = await lookUpProgram("dagger", { env });
  if (lookup.path !== null) return { path: lookup.path };
  const downloaded = programs === undefined ? null : await downloadedCli(programs);
  if (downloaded !== null) return { path: downloaded };
  const refused = refusedPrograms(lookup);
  return { missing: `The Dagger CLI was not found on PATH.${refused}`, named: false, refused };
}

export interface DownloadChoice {
  /** Folder of a downloaded CLI. */
  programs: string;
  /** Where the CLI is downloaded; null: not at all. */
  source: string | null;
}

/** Locates the CLI and checks that its version is compatible. `absent`: a start would download it. */
export async function cliFinding(
  env: NodeJS.ProcessEnv,
  deadlineMs = DEADLINE_MS,
  download?: DownloadChoice,
): Promise<{ path: string | null; finding: Finding; absent?: true }> {
  const cli = await findCli(env, download?.programs);
  if ("missing" in cli && !cli.named && typeof download?.source === "string" && archiveName() !== null) {
    const message = `No Dagger CLI is installed; a start with the runtime dagger downloads ${SDK_VERSION} from ${download.source}.${cli.refused}`;
    return { path: null, finding: { check: "dagger CLI", ok: true, message }, absent: true };
  }
  if ("missing" in cli)
    return { path: null, finding: { check: "dagger CLI", ok: false, message: cli.missing, fix: INSTALL } };
  const { path } = cli;
  const answer = await ask(path, ["version"], env, deadlineMs);
  if (answer.kind === "refusal") {
    const message = `${path} does not run: ${answer.reason}`;
    return { path: null, finding: { check: "dagger CLI", ok: false, message, fix: INSTALL } };
  }
  // The cold start of a large program can exceed the deadline; the start of a session reports more.
  if (answer.kind === "silence") {
    const message = `${path} (it did not say its version within ${deadlineMs} ms)`;
    return { path, finding: { check: "dagger CLI", ok: true, message } };
  }
  const verdict = judgeVersion("CLI", answer.text);
  if (verdict.kind === "unsupported")
    return { path: null, finding: { check: "dagger CLI", ok: false, message: verdict.message, fix: INSTALL } };
  const message = verdict.kind === "same" ? `Dagger CLI ${SDK_VERSION} (${path})` : `${verdict.message} (${path})`;
  return { path, finding: { check: "dagger CLI", ok: true, message } };
}

type Reach = { ok: true; message: string } | { ok: false; message: string; fix: string };

const opens = (where: { path: string } | { host: string; port: number }, deadlineMs: number): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = connect({ ...where, timeout: deadlineMs });
    const end = (why: string | null) => {
      socket.destroy();
      resolve(why);
    };
    socket.once("connect", () => end(null));
    socket.once("timeout", () => end(`no answer within ${deadlineMs} ms`));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });

async function socketReach(
  where: { path: string } | { host: string; port: number },
  name: string,
  deadlineMs: number,
): Promise<Reach> {
  const why = await opens(where, deadlineMs);
  if (why === null) return { ok: true, message: `An engine listens at ${name}.` };
  return {
    ok: false,
    message: `No engine listens at ${name} (${why}).`,
    fix: `Start a Dagger engine ${SDK_VERSION} there, or correct the address.`,
  };
}

/** The first container runtime on PATH whose daemon responds. */
async function containerRuntime(names: readonly string[], env: NodeJS.ProcessEnv, deadlineMs: number): Promise<Reach> {
  const results = await Promise.all(
    names.map(async (name) => {
      const path = await findProgram(name, { env });
      if (path === null) return `${name} was not found on PATH`;
      const answer = await ask(path, ["ps", "-q"], env, deadlineMs);
      if (answer.kind === "answer") return null;
      return `${name} does not answer (${answer.kind === "silence" ? `nothing within ${deadlineMs} ms` : answer.reason})`;
    }),
  );
  const at = results.indexOf(null);
  if (at >= 0) return { ok: true, message: `${names[at]} answers: the CLI starts an engine with it where none runs.` };
  return {
    ok: false,
    message: `No container runtime can start an engine: ${results.join("; ")}.`,
    fix: `Start ${names.join(" or ")}, or name a running engine in engines of the server's configuration.`,
  };
}

async function containerReach(
  program: string,
  container: string,
  env: NodeJS.ProcessEnv,
  deadlineMs: number,
): Promise<Reach> {
  const path = await findProgram(program, { env });
  const fix = `Start the container ${container}, or correct the engine's address.`;
  if (path === null) return { ok: false, message: `${program} was not found on PATH.`, fix: `Install ${program}.` };
  const answer = await ask(path, ["inspect", "--format", "{{.State.Running}}", "--", container], env, deadlineMs);
  if (answer.kind === "answer" && answer.text === "true")
    return { ok: true, message: `The container ${container} runs (${program}).` };
  const why =
    answer.kind === "answer" ? "it is stopped" : answer.kind === "refusal" ? answer.reason : "no answer in time";
  return { ok: false, message: `The engine's container ${container} cannot be used: ${why}.`, fix };
}

async function podReach(address: URL, env: NodeJS.ProcessEnv, deadlineMs: number): Promise<Reach> {
  const path = await findProgram("kubectl", { env });
  if (path === null) return { ok: false, message: "kubectl was not found on PATH.", fix: "Install kubectl." };
  const options = ["context", "namespace"].flatMap((name) => {
    const value = address.searchParams.get(name);
    return value === null ? [] : [`--${name}=${value}`];
  });
  const pod = address.hostname;
  const answer = await ask(
    path,
    ["get", "pod", ...options, "-o", "jsonpath={.status.phase}", "--", pod],
    env,
    deadlineMs,
  );
  // A remote cluster can take longer than this check; a timeout does not mean that it is absent.
  if (answer.kind === "silence")
    return {
      ok: true,
      message: `The pod ${pod} was not seen within ${deadlineMs} ms; a start shows whether it exists.`,
    };
  if (answer.kind === "answer" && answer.text === "Running") return { ok: true, message: `The pod ${pod} runs.` };
  const why = answer.kind === "answer" ? `its phase is ${answer.text || "unknown"}` : answer.reason;
  return {
    ok: false,
    message: `The engine's pod ${pod} cannot be used: ${why}.`,
    fix: "Start the engine in the cluster, or correct the address.",
  };
}

async function reach(runnerHost: string, env: NodeJS.ProcessEnv, deadlineMs: number): Promise<Reach> {
  const unusable: Reach = {
    ok: false,
    message: `${JSON.stringify(runnerHost.slice(0, 200))} is not the address of an engine.`,
    fix: "Write it as unix:///path, tcp://host:port, docker-container://name, docker-image://image, podman-container://name or kube-pod://pod?namespace=name.",
  };
  // These are not strict URLs: the tag of an image is not a port.
  const image = /^(?:(docker|podman|nerdctl)-)?image:\/\/./.exec(runnerHost);
  if (image !== null)
    return containerRuntime(image[1] === undefined ? CONTAINER_RUNTIMES : [image[1]], env, deadlineMs);
  let address: URL;
  try {
    address = new URL(runnerHost);
  } catch {
    return unusable;
  }
  const name = address.hostname;
  const named = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name);
  switch (address.protocol) {
    case "unix:":
      return socketReach({ path: decodeURIComponent(address.pathname) }, runnerHost, deadlineMs);
    case "tcp:": {
      const port = Number(address.port);
      const host = name.replace(/^\[|\]$/g, "");
      return port > 0 && host !== "" ? socketReach({ host, port }, runnerHost, deadlineMs) : unusable;
    }
    case "docker-container:":
    case "podman-container:":
      return named ? containerReach(address.protocol.split("-")[0] as string, name, env, deadlineMs) : unusable;
    case "container:": {
      if (!named) return unusable;
      const results = await Promise.all(CONTAINER_RUNTIMES.map((one) => containerReach(one, name, env, deadlineMs)));
      return results.find((one) => one.ok) ?? (results[0] as Reach);
    }
    case "kube-pod:":
      return named ? podReach(address, env, deadlineMs) : unusable;
    default:
      return { ok: true, message: `${runnerHost}: not checked; the first use shows whether it can be reached.` };
  }
}

/** Whether the engine responds, or can be started. */
export async function engineFinding(
  engine: Engine,
  env: NodeJS.ProcessEnv,
  deadlineMs = DEADLINE_MS,
): Promise<Finding> {
  const containers =
    engine.runnerHost === null
      ? await containerRuntime(CONTAINER_RUNTIMES, env, deadlineMs)
      : await reach(engine.runnerHost, env, deadlineMs);
  const message = engine.runnerHost === null ? containers.message : `${containers.message} (${engine.source})`;
  return { check: "dagger engine", ok: containers.ok, message, ...(containers.ok ? {} : { fix: containers.fix }) };
}
