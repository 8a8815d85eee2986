/** Exchanges two paths in a loop with renameat2(RENAME_EXCHANGE), as an attacker in a race does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Number of the system call, which Node.js lacks. Perl starts ten times faster than Python. */
const RENAMEAT2 = process.arch === "arm64" ? 276 : 316;
/** A line of standard input begins an attack, and a signal ends it. */
const PROGRAM = `
my ($going, @paths) = (0, @ARGV);
$SIG{USR1} = sub { $going = 0 };
$| = 1;
while (<STDIN>) {
  ($going, my $count) = (1, 0);
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
}
`;

/** One process for several attacks: a process for each one needs more processor time than a short attack. */
export interface Exchanger {
  /** Returns when the exchanges have begun. */
  begin(): Promise<void>;
  /** @returns the number of exchanges */
  end(): Promise<number>;
  close(): Promise<void>;
}

/** @param user uid and gid of the attacker. Default: the caller's */
export function exchanger(pairs: readonly (readonly [first: string, second: string])[], user?: number): Exchanger {
  const child = spawn("/usr/bin/perl", ["-e", PROGRAM, ...pairs.flat()], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {},
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("The process that exchanges paths has ended.");
    return value;
  };
  return {
    begin: async () => {
      child.stdin.write("\n");
      await line();
    },
    end: async () => {
      child.kill("SIGUSR1");
      return Number(await line());
    },
    close: async () => {
      child.stdin.end();
      await closed;
    },
  };
}

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
  const attack = exchanger(pairs, user);
  await attack.begin();
  return async () => {
    const count = await attack.end();
    await attack.close();
    return count;
  };
}
