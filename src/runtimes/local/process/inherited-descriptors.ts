/** Descriptors that the server inherited from its parent, such as a lock that a shell holds open. */
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";

/** O_CLOEXEC in the octal notation of /proc. Every descriptor that Node.js opens has it. */
const CLOSE_ON_EXEC = 0o2000000;

function leaksInto(fd: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    return false;
  }
}

/** Descriptors above standard error that a new process would inherit. Empty on systems that do not list them. */
export function inheritedDescriptors(): number[] {
  try {
    return readdirSync("/proc/self/fd")
      .filter((fd) => Number(fd) > 2 && leaksInto(fd))
      .map(Number);
  } catch {
    return [];
  }
}

/**
 * Calls `use` with entries for `spawn`'s `stdio`, from descriptor 4 on, that replace every inherited descriptor with
 * /dev/null. Node.js cannot close a descriptor in a child, but it can replace one.
 */
export function withoutInherited<T>(inherited: readonly number[], use: (stdio: ("ignore" | number)[]) => T): T {
  const replaced = inherited.filter((fd) => fd > 3);
  if (replaced.length === 0) return use([]);
  const empty = openSync("/dev/null", "r");
  try {
    const stdio = Array.from({ length: Math.max(...replaced) - 3 }, (_, at): "ignore" | number =>
      replaced.includes(at + 4) ? empty : "ignore",
    );
    return use(stdio);
  } finally {
    closeSync(empty);
  }
}
