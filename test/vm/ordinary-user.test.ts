/** cgroup v2 and namespaces of an ordinary user, on a real kernel in a virtual machine. Opt-in: VM_TESTS=1. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../runtimes/local/process/support.js";

const PROGRAMS = ["qemu-system-x86_64", "modprobe", "bwrap"];
const isStatic = (): boolean => spawnSync("ldd", ["/bin/busybox"], { stdio: "ignore" }).status !== 0;

function whyNot(): string | null {
  if (process.env.VM_TESTS !== "1") return "VM_TESTS=1 runs it";
  if (process.getuid?.() !== 0 || process.arch !== "x64") return "it needs root on x86-64";
  const missing = PROGRAMS.filter(
    (name) => !["/usr/bin", "/usr/sbin", "/bin", "/sbin"].some((at) => existsSync(join(at, name))),
  );
  if (missing.length > 0)
    return `there is no ${missing.join(", ")} (Debian: apt-get install qemu-system-x86 kmod bubblewrap)`;
  if (!existsSync("/bin/busybox") || !isStatic())
    return "there is no static busybox (Debian: apt-get install busybox-static)";
  if (!existsSync("/boot") || !readdirSync("/boot").some((name) => /^vmlinuz-(?!.*cloud)/.test(name)))
    return "there is no kernel in /boot (Debian: apt-get install linux-image-amd64)";
  return null;
}

const skip = whyNot();

describe.skipIf(skip !== null)(`an ordinary user on cgroup v2${skip === null ? "" : `: skipped, ${skip}`}`, () => {
  it("an ordinary user has enforced limits in a delegated cgroup, and down leaves nothing behind", {
    timeout: 300_000,
  }, () => {
    const script = join(import.meta.dirname, "ordinary-user.sh");
    const { stdout, stderr, status } = spawnSync(join(import.meta.dirname, "run.sh"), [script], {
      cwd: ROOT,
      encoding: "utf8",
    });
    const facts = Object.fromEntries(
      stdout.split("\n").flatMap((line) => {
        const [, name, value] = /^([^:]+): (.*)$/.exec(line) ?? [];
        return name === undefined ? [] : [[name, value]];
      }),
    );
    expect(status, stdout + stderr).toBe(0);
    expect(facts).toMatchObject({
      "service user": "1000",
      "service cgroup": "delegated",
      "memory.max": String(120 * 1024 * 1024),
      "cpu.max": "50000 100000",
      "pids.max": "40",
      "service namespaces": "own",
      no_new_privs: "1",
      "cgroup after down": "none",
      "service after down": "none",
      "user namespaces": "work",
    });
  });
});
