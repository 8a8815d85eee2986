/** Exchanges two paths in a loop with renameat2(RENAME_EXCHANGE), as an attacker in a race does. */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Number of the system call, which Node.js lacks. Perl starts ten times faster than Python. */
const RENAMEAT2 = process.arch === "arm64" ? 276 : 316;
const PROGRAM = `
my ($going, $count, @paths) = (1, 0, @ARGV);
$SIG{TERM} = sub { $going = 0 };
$| = 1;
print "ready\\n";
while ($going) {
  my $before = $count;
  for (my $at = 0; $at < @paths; $at += 2) {
    $count += syscall(${RENAMEAT2}, -100, $paths[$at], -100, $paths[$at + 1], 2) == 0;
  }
  # Without paths to exchange, the attack only takes processor time from what it attacks.
  select(undef, undef, undef, 0.001) if $count == $before;
}
print "$count\\n";
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
  const child = spawn("/usr/bin/perl", ["-e", PROGRAM, ...pairs.flat()], {
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
