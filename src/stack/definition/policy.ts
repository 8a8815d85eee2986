/**
 * What a compose file may not ask for (S7): it would undo the hardening. Only the server's own
 * configuration, which no agent writes, can allow a root user.
 */
import type { NodeReader } from "./node-reader.js";

const REMOVE = "Remove it. Stackwarden does not run services that can reach beyond their own stack.";

/** Keys that are refused whatever their value, unless it is the harmless one. */
const FORBIDDEN: Record<string, { means: string; harmless: (text: string) => boolean }> = {
  privileged: { means: "gives the service the whole machine", harmless: (text) => text === "false" },
  cap_add: { means: "adds kernel capabilities", harmless: (text) => text === "" },
  devices: { means: "gives the service the machine's devices", harmless: (text) => text === "" },
  device_cgroup_rules: { means: "gives the service the machine's devices", harmless: (text) => text === "" },
  gpus: { means: "gives the service the machine's devices", harmless: (text) => text === "" },
  network_mode: {
    means: "leaves the stack's own network",
    harmless: (text) => text === "bridge" || text === "default",
  },
  pid: { means: "shares another process namespace", harmless: (text) => text === "" },
  ipc: {
    means: "shares another IPC namespace",
    harmless: (text) => text === "" || text === "private" || text === "none",
  },
  uts: { means: "shares the machine's host name", harmless: (text) => text === "" },
  userns_mode: { means: "leaves the user namespace", harmless: (text) => text === "" },
  cgroup: { means: "shares the machine's control groups", harmless: (text) => text === "private" },
  cgroup_parent: { means: "leaves the stack's control group", harmless: (text) => text === "" },
  sysctls: { means: "changes kernel parameters", harmless: (text) => text === "" },
  volumes_from: { means: "takes another container's volumes", harmless: (text) => text === "" },
  external_links: { means: "reaches containers of other stacks", harmless: (text) => text === "" },
  use_api_socket: { means: "reaches the container engine's socket", harmless: (text) => text === "false" },
};

export const POLICY_KEYS: readonly string[] = [...Object.keys(FORBIDDEN), "security_opt", "cap_drop"];

const text = (reader: NodeReader): string => {
  if (reader.empty) return "";
  if (reader.isList) return reader.list().length === 0 ? "" : "list";
  if (reader.isMap) return reader.entries().length === 0 ? "" : "map";
  return reader.string() ?? "";
};

export function checkPolicy(key: string, reader: NodeReader): void {
  if (key === "cap_drop") return; // Everything is dropped already.
  if (key === "security_opt") {
    for (const option of reader.strings("an option"))
      if (!/^no-new-privileges(?:[:=]true)?$/.test(option))
        reader.policy(`${option} weakens the service's isolation`, REMOVE);
    return;
  }
  const rule = FORBIDDEN[key];
  if (rule !== undefined && !rule.harmless(text(reader))) reader.policy(rule.means, REMOVE);
}

/** Is this Compose `user` root, by name or number? A group alone (`:0`) and an empty user count as well. */
export const isRoot = (user: string): boolean => /^(?:root|0+)?(?::.*)?$/.test(user.trim());

export function checkUser(reader: NodeReader, user: string, allowed: boolean): void {
  if (isRoot(user) && !allowed)
    reader.policy(
      "runs the service as root",
      "Give another user, such as 1000:1000. Only the server's own configuration (allow_root) can permit root.",
    );
}
