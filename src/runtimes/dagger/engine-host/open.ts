/**
 * Connects to the host of a Dagger engine and detects its capabilities. A missing connection is a result, not an error.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram, withTrustedPath } from "../../../system/find-program.js";
import { lastLine } from "../../shared/last-line.js";
import { cores, limitOf, parseSnapshot } from "./cgroup-files.js";
import { cancelled } from "./containers.js";
import { containerExec, DEFAULT_ENGINE, ENGINE_PREFIX, type ExecCommand, isName, routeOf } from "./exec-transport.js";
import { Helper } from "./helper.js";
import { MB } from "./limit-values.js";
import { script } from "./remote-scripts.js";
import { type ContainerLookup, RuncHost } from "./runc-host.js";
import type { EngineHost, EngineHostOptions } from "./types.js";
import { unreachableHost } from "./unreachable-host.js";

const LIST_MS = 15_000;

/** The container that the CLI started: the one of this version, or the only one. */
async function startedByCli(
  program: string,
  path: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<ExecCommand | string> {
  const args = ["ps", "--filter", `name=${ENGINE_PREFIX}`, "--format", "{{.Names}}"];
  try {
    const { stdout } = await promisify(execFile)(path, args, { env, signal, timeout: LIST_MS });
    const names = stdout.split("\n").filter((name) => name.startsWith(ENGINE_PREFIX) && isName(name));
    if (names.includes(DEFAULT_ENGINE)) return containerExec(program, DEFAULT_ENGINE);
    const [only, another] = names;
    if (only === undefined) return `${program} runs no container ${ENGINE_PREFIX}…`;
    if (another !== undefined)
      return `${program} runs several engines (${names.join(", ")}); name one as the runner host`;
    return containerExec(program, only);
  } catch (error) {
    if (signal.aborted) throw cancelled(signal);
    const { stderr, message } = error as Error & { stderr?: string };
    return `${program} does not answer (${lastLine(stderr || message)})`;
  }
}

/** @returns the capabilities, or the reason why there are none */
async function probe(helper: Helper, way: ExecCommand): Promise<ContainerLookup | string> {
  const output = (await helper.run({ words: script("host_probe") })).output.toString();
  const value = (name: string): string => new RegExp(`^${name}:? *(.*)$`, "m").exec(output)?.[1]?.trim() ?? "";
  if (value("runc") !== "ok")
    return value("runc") === ""
      ? `there is no runc on ${way.description}`
      : `runc cannot be used on ${way.description}: ${value("runc").slice(0, 200)}`;
  if (value("uid") !== "0") return `limits can be set by root only, and ${way.description} is another user`;
  const snapshot = parseSnapshot(output);
  const file = (name: string): string | undefined => snapshot.get(name)?.[0];
  const [quota, period] = (file("cpu.max") ?? "").split(" ");
  const bounds = (values: (number | null)[]): number => Math.min(...values.filter((one) => one !== null));
  return {
    description: way.description,
    enforcement: { level: "enforced", reason: `cgroup ${value("cgroup")}` },
    capacity: {
      cpus: bounds([
        Number(value("cpus")),
        cores(quota, period),
        cores(file("cpu/cpu.cfs_quota_us"), file("cpu/cpu.cfs_period_us")),
      ]),
      memory_mb: bounds([
        Number.parseInt(value("MemTotal"), 10) / 1024,
        ...[file("memory.max"), file("memory/memory.limit_in_bytes")].map((one) => {
          const bytes = limitOf(one);
          return bytes === null ? null : bytes / MB;
        }),
      ]),
    },
  };
}

export async function openEngineHost(options: EngineHostOptions): Promise<EngineHost> {
  const { runnerHost, signal, warn } = options;
  const route = routeOf(runnerHost);
  if (route.kind === "unreachable") return unreachableHost(route.reason);
  const reasons: string[] = [];
  const env = await withTrustedPath(options.env ?? process.env);
  const candidates =
    route.kind === "ways"
      ? route.ways.map((way) => ({ program: way.argv[0], find: async (): Promise<ExecCommand | string> => way }))
      : route.programs.map((program) => ({
          program,
          find: (path: string) => startedByCli(program, path, env, signal),
        }));
  for (const { program, find } of candidates) {
    const path = await findProgram(program, { env });
    if (path === null) {
      reasons.push(`${program} is not installed here`);
      continue;
    }
    const way = await find(path);
    if (typeof way === "string") {
      reasons.push(way);
      continue;
    }
    const helper = new Helper({ ...way, argv: [path, ...way.argv.slice(1)] }, env, warn);
    try {
      await helper.start(signal);
      const lookup = await probe(helper, way);
      if (typeof lookup !== "string") return new RuncHost(helper, lookup);
      reasons.push(lookup);
    } catch (error) {
      if (signal.aborted) {
        await helper.close();
        throw cancelled(signal);
      }
      reasons.push((error as Error).message.replace(/\.$/, ""));
    }
    await helper.close();
  }
  return unreachableHost(reasons.join("; "));
}
