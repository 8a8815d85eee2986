/**
 * Refuses compose settings that would weaken the isolation of services. Only the server's configuration, which agents
 * cannot change, can allow a root user or folders outside the project.
 */
import type { NodeReader } from "./node-reader.js";

const REMOVE =
  "Remove it, or start the other services without this one (`without`). Stackwarden does not run services that can reach beyond their own stack.";

/**
 * Docker's default capabilities. Requests to add them are accepted without effect: services run without capabilities,
 * and not as root.
 */
const DEFAULT_CAPABILITIES = new Set(
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split(
    " ",
  ),
);

/** Kernel parameters that belong to a container's own namespaces. */
const OWN_SYSCTL = /^(?:net(?:\.[\w/-]+)+|kernel\.(?:shm\w+|msg\w+|sem)|fs\.mqueue\.\w+)$/;

/** Keys that are refused unless their value is harmless. */
const FORBIDDEN: Record<string, { means: string; harmless: (text: string) => boolean }> = {
  privileged: { means: "gives the service the whole machine", harmless: (text) => text === "false" },
  devices: { means: "gives the service the machine's devices", harmless: (text) => text === "" },
  device_cgroup_rules: { means: "gives the service the machine's devices", harmless: (text) => text === "" },
  gpus: { means: "gives the service the machine's devices", harmless: (text) => text === "" },
  network_mode: {
    means: "leaves the stack's own network",
    harmless: (text) => ["", "bridge", "default", "none"].includes(text),
  },
  pid: { means: "shares another process namespace", harmless: (text) => text === "" || text === "private" },
  ipc: {
    means: "shares another IPC namespace",
    harmless: (text) => ["", "private", "none", "shareable"].includes(text),
  },
  uts: { means: "shares the machine's host name", harmless: (text) => text === "" },
  userns_mode: { means: "leaves the user namespace", harmless: (text) => text === "" || text === "private" },
  cgroup: { means: "shares the machine's control groups", harmless: (text) => text === "" || text === "private" },
  cgroup_parent: { means: "leaves the stack's control group", harmless: (text) => text === "" },
  volumes_from: { means: "takes another container's volumes", harmless: (text) => text === "" },
  external_links: { means: "reaches containers of other stacks", harmless: (text) => text === "" },
  use_api_socket: { means: "reaches the container engine's socket", harmless: (text) => text === "false" },
  runtime: { means: "chooses another container runtime", harmless: (text) => text === "" || text === "runc" },
};

export const POLICY_KEYS: readonly string[] = [
  ...Object.keys(FORBIDDEN),
  "security_opt",
  "cap_add",
  "cap_drop",
  "sysctls",
];

const text = (reader: NodeReader): string => {
  if (reader.empty) return "";
  if (reader.isList) return reader.list().length === 0 ? "" : "list";
  if (reader.isMap) return reader.entries().length === 0 ? "" : "map";
  return reader.string() ?? "";
};

/** Reads `name=value` items of a list, or a mapping's entries. A name without a value gets the empty string. */
function pairs(reader: NodeReader): [string, string, NodeReader][] {
  if (reader.isMap) return reader.entries().map(([name, value]) => [name, value.string() ?? "", value]);
  return reader.list().map((item) => {
    const [name = "", value = ""] = (item.string("name=value") ?? "").split(/=(.*)/s);
    return [name, value, item];
  });
}

export function checkPolicy(key: string, reader: NodeReader): void {
  if (key === "cap_drop") return; // Services already run without capabilities.
  if (key === "cap_add") {
    for (const item of reader.list()) {
      const name = (item.string("a capability") ?? "").toUpperCase().replace(/^CAP_/, "");
      if (!DEFAULT_CAPABILITIES.has(name)) item.policy(`adds the kernel capability ${name}`, REMOVE);
    }
    return;
  }
  if (key === "sysctls") {
    for (const [name, , at] of pairs(reader))
      if (!OWN_SYSCTL.test(name)) at.policy(`${name} is a kernel parameter of the whole machine`, REMOVE);
    return;
  }
  if (key === "security_opt") {
    for (const option of reader.strings("an option"))
      if (!/^(?:no-new-privileges(?:[:=]true)?|apparmor[:=]docker-default)$/.test(option))
        reader.policy(`${option} weakens the service's isolation`, REMOVE);
    return;
  }
  const rule = FORBIDDEN[key];
  if (rule !== undefined && !rule.harmless(text(reader))) reader.policy(rule.means, REMOVE);
}

/** Reads `sysctls`. `checkPolicy` refuses forbidden names. */
export const readSysctls = (reader: NodeReader | undefined): Record<string, string> =>
  Object.fromEntries((reader === undefined || reader.empty ? [] : pairs(reader)).map(([name, value]) => [name, value]));

/**
 * True when a Compose `user` is root, by name or number. A group alone (`:0`) and an empty user count as root. So does
 * every text that a number parser may read as 0: `+0`, `-0`, `0x0`, `0.0` and multiples of 2³².
 */
export function isRoot(user: string): boolean {
  const name = (user.trim().split(":")[0] ?? "").trim();
  if (name === "" || name === "root") return true;
  const number = Number(name.replace(/^([+-])(?=0[xob])/i, ""));
  return Number.isFinite(number) && Math.trunc(number) % 2 ** 32 === 0;
}

export function checkUser(reader: NodeReader, user: string, allowed: boolean): void {
  if (isRoot(user) && !allowed)
    reader.policy(
      "runs the service as root",
      "Give another user, such as 1000:1000. Only the server's own configuration (allow_root) can permit root.",
    );
}
