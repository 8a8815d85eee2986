/** Exchanges two paths in a loop with renameat2(RENAME_EXCHANGE), as an attacker in a race does. */
import { spawn } from "node:child_process";
import { once } from "node:events";

const PROGRAM = `
import ctypes, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
paths = [path.encode() for path in sys.argv[1:]]
pairs = list(zip(paths[::2], paths[1::2]))
print("ready", flush=True)
count = 0
while going:
    for first, second in pairs:
        count += libc.renameat2(-100, first, -100, second, 2) == 0
print(count, flush=True)
`;

/**
 * @param user uid and gid of the attacker. Default: the caller's
 * @returns a function that ends the attack and gives the number of exchanges
 */
export const exchanging = (first: string, second: string, user?: number): Promise<() => Promise<number>> =>
  exchangingAll([[first, second]], user);

/** Exchanges several pairs in turn. */
export async function exchangingAll(
  pairs: readonly (readonly [first: string, second: string])[],
  user?: number,
): Promise<() => Promise<number>> {
  const child = spawn("/usr/bin/python3", ["-c", PROGRAM, ...pairs.flat()], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {},
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  await once(child.stdout, "data");
  return async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "close");
    return Number(output.trim().split("\n").at(-1));
  };
}
