/** Reads container settings that container runtimes pass on unchanged. */

import type { ServiceDefinition } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { parseBytes } from "./units.js";

/** As container engines accept it: an underscore is valid, although no DNS name has one. */
const HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;
const PULL = /^(?:always|never|missing|if_not_present|build|refresh|daily|weekly|every_\w+)$/;

type Settings = Partial<
  Pick<
    ServiceDefinition,
    | "hostname"
    | "domainName"
    | "dns"
    | "dnsSearch"
    | "dnsOptions"
    | "ulimits"
    | "shmSizeBytes"
    | "tty"
    | "stdinOpen"
    | "platform"
    | "pullPolicy"
    | "groupAdd"
    | "memorySwappiness"
    | "oomScoreAdj"
    | "cpuset"
    | "cpuShares"
  >
>;

/**
 * Limits that let a process raise its own priority above other programs of the machine: a real-time process is not
 * bound by a CPU quota.
 */
const PRIORITY = ["rtprio", "nice"];

function readUlimits(reader: NodeReader | undefined, note: (text: string) => void): Settings["ulimits"] {
  const limits: NonNullable<Settings["ulimits"]> = Object.create(null);
  const number = (field: NodeReader | undefined): number | undefined =>
    hasValue(field) ? field.number(-1, Number.MAX_SAFE_INTEGER) : undefined;
  for (const [name, value] of hasValue(reader) ? reader.entries() : []) {
    if (PRIORITY.includes(name)) {
      note(`${value.path} has no effect: a service does not take precedence over other programs of the machine.`);
      continue;
    }
    if (value.isMap) {
      const fields = value.fields(["soft", "hard"]);
      const [soft, hard] = [number(fields.soft), number(fields.hard)];
      if (soft !== undefined && hard !== undefined) limits[name] = { soft, hard };
      else value.invalid("needs soft and hard", "Write { soft: 1024, hard: 4096 }, or one number for both.");
    } else {
      const both = number(value);
      if (both !== undefined) limits[name] = { soft: both, hard: both };
    }
  }
  return limits;
}

/** Absent settings are undefined. */
export function readContainerSettings(
  fields: Partial<Record<string, NodeReader>>,
  note: (text: string) => void,
): {
  [K in keyof Settings]-?: Settings[K] | undefined;
} {
  const text = (key: string): string | undefined =>
    hasValue(fields[key]) ? fields[key].string() || undefined : undefined;
  const texts = (key: string): string[] =>
    (fields[key]?.listOrOne() ?? []).flatMap((item) => (item.empty ? [] : (item.string() ?? [])));
  const flag = (key: string): boolean => hasValue(fields[key]) && fields[key].boolean() === true;
  const number = (key: string, least: number, most: number): number | undefined =>
    hasValue(fields[key]) ? fields[key].number(least, most) : undefined;

  const oomScoreAdj = number("oom_score_adj", -1000, 1000);
  if (oomScoreAdj !== undefined && oomScoreAdj < 0)
    note(
      `${fields.oom_score_adj?.path} has no effect: when memory runs out, the kernel would end other programs first.`,
    );

  const hostname = text("hostname");
  if (hostname !== undefined && !HOST_NAME.test(hostname))
    fields.hostname?.invalid("is not a host name", "Use letters, digits, dots, dashes and underscores.");
  const size = text("shm_size");
  const shmSizeBytes = size === undefined ? undefined : (parseBytes(size) ?? undefined);
  if (size !== undefined && shmSizeBytes === undefined)
    fields.shm_size?.invalid("must be a size", "Write it as in 64m or 1g.");
  const pullPolicy = text("pull_policy");
  if (pullPolicy !== undefined && !PULL.test(pullPolicy))
    fields.pull_policy?.invalid(
      "is not a pull policy",
      "Write always, missing, never, build, daily, weekly or every_12h.",
    );

  return {
    hostname,
    domainName: text("domainname"),
    dns: texts("dns").filter((server) => server !== ""),
    dnsSearch: texts("dns_search"),
    dnsOptions: texts("dns_opt"),
    ulimits: readUlimits(fields.ulimits, note),
    shmSizeBytes,
    tty: flag("tty"),
    stdinOpen: flag("stdin_open"),
    platform: text("platform"),
    pullPolicy: pullPolicy === "if_not_present" ? "missing" : pullPolicy,
    groupAdd: texts("group_add"),
    memorySwappiness: number("mem_swappiness", 0, 100),
    oomScoreAdj: oomScoreAdj !== undefined && oomScoreAdj < 0 ? undefined : oomScoreAdj,
    cpuset: text("cpuset"),
    cpuShares: number("cpu_shares", 0, 262_144),
  };
}
