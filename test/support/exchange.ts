/** Exchanges two paths in a loop with renameat2(RENAME_EXCHANGE), as an attacker in a race does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Number of the system call, which Node.js lacks. Perl starts ten times faster than Python. */
const RENAMEAT2 = process.arch === "arm64" ? 276 : 316;
/** A line of standard input begins an attack, and a signal ends it. */
const PROGRAM = `
my ($going, $pause, @paths) = (0, @ARGV);
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
    my $seconds = $count == $before ? 0.001 : $pause;
    select(undef, undef, undef, $seconds) if $seconds > 0;
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

export interface Attacker {
  /** Its uid and gid. Default: the caller's. */
  user?: number;
  /**
   * Seconds between two exchanges. Default 0: one processor exchanges as often as it can. An attack on steps that are
   * much further apart succeeds as often with a pause, and leaves them the processor.
   */
  pause?: number;
}

export function exchanger(
  pairs: readonly (readonly [first: string, second: string])[],
  { user, pause = 0 }: Attacker = {},
): Exchanger {
  const child = spawn("/usr/bin/perl", ["-e", PROGRAM, String(pause), ...pairs.flat()], {
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

/** @returns a function that ends the attack and gives the number of exchanges */
export const exchanging = (first: string, second: string, attacker?: Attacker): Promise<() => Promise<number>> =>
  exchangingAll([[first, second]], attacker);

/** Exchanges several pairs in turn. */
export async function exchangingAll(
  pairs: readonly (readonly [first: string, second: string])[],
  attacker?: Attacker,
): Promise<() => Promise<number>> {
  const attack = exchanger(pairs, attacker);
  await attack.begin();
  return async () => {
    const count = await attack.end();
    await attack.close();
    return count;
  };
}
