/**
 * An empty session keyring (keyrings(7)) for each command. Processes inherit the session keyring across changes of the
 * user and namespaces; without a new one, services could read the keys of the session that started the server.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Number of keyctl(2) for each architecture. */
const KEYCTL: Partial<Record<NodeJS.Architecture, number>> = {
  arm: 311,
  arm64: 219,
  ia32: 288,
  loong64: 219,
  ppc64: 271,
  riscv64: 219,
  s390x: 280,
  x64: 250,
};

/** Succeeds when KEYCTL_JOIN_SESSION_KEYRING (1) changes the keyring that KEYCTL_GET_KEYRING_ID (0) reports. */
const trial = (call: number): string =>
  `my $old = syscall(${call}, 0, -3, 0); exit(syscall(${call}, 1, 0) < 0 || syscall(${call}, 0, -3, 0) == $old)`;

/** A keyring that cannot be made (the quota of keys is used up) ends the command before it begins. */
const join = (call: number): string => `syscall(${call}, 1, 0) < 0 and exit 125; exec { $ARGV[0] } @ARGV; exit 126`;

/**
 * Words before a command that give it an empty session keyring. None where Perl is missing or the kernel offers no
 * keyrings to this process.
 * @param perl a trusted path
 */
export async function newKeyring(perl: string | null): Promise<readonly string[]> {
  const call = process.platform === "linux" ? KEYCTL[process.arch] : undefined;
  if (perl === null || call === undefined) return [];
  return execute(perl, ["-e", trial(call)], { env: {}, cwd: "/", timeout: 5000 }).then(
    () => [perl, "-e", join(call)],
    () => [],
  );
}
