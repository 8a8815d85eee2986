/** A session keyring (keyrings(7)) with a key, as a login with Kerberos or fscrypt has it. */
import { spawnSync } from "node:child_process";

const PERL = "/usr/bin/perl";
const SECRET = "a key of the session";

// The calls are keyctl (250) and add_key (248) on x86-64; -3 is the session keyring. Perl passes only variables as
// buffers.
const NAMES = `my ($type, $name) = ("user", "stackwarden-attack");`;
const MAKE = `${NAMES} my $key = "${SECRET}"; syscall(250, 1, 0) > 0 && syscall(248, $type, $name, $key, ${SECRET.length}, -3) > 0 or exit 1; exec { $ARGV[0] } @ARGV`;
/** Searches the session keyring (10) and reads the key (11). */
const READ = `${NAMES} my $text = " " x 64; my $length = syscall(250, 11, syscall(250, 10, -3, $type, $name, 0), $text, 64); print $length > 0 ? substr($text, 0, $length) : "no key: $!", "\n"`;

/** Words before a command that runs in a new session keyring with a key. */
export const withSessionKey: readonly string[] = [PERL, "-e", MAKE];

/** Prints the key of the session keyring, or why there is none. */
export const readSessionKey: readonly string[] = [PERL, "-e", READ];

/** As withSessionKey, in the keyring of the user (-4). It expires (15) after two minutes. */
export const withUserKey: readonly string[] = [
  PERL,
  "-e",
  `${NAMES} my $key = "${SECRET}"; my $id = syscall(248, $type, $name, $key, ${SECRET.length}, -4); $id > 0 && syscall(250, 15, $id, 120) == 0 or exit 1; exec { $ARGV[0] } @ARGV`,
];

/** Links (8) every keyring that it sees to its session keyring before it reads the key as readSessionKey does. */
export const readLinkedKey: readonly string[] = [
  PERL,
  "-e",
  `open(my $keys, "<", "/proc/keys"); for (<$keys>) { syscall(250, 8, unpack("l", pack("L", hex $1)), -3) if /^(\\w+) .*keyring/ } ${READ}`,
];

/** True where a child process reads the key with these commands. */
export const hasKeyrings =
  process.platform === "linux" &&
  process.arch === "x64" &&
  spawnSync(PERL, [...withSessionKey.slice(1), ...readSessionKey], { encoding: "utf8" }).stdout === `${SECRET}\n`;
