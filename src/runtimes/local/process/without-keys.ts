/**
 * No keys (keyrings(7)) for commands. Processes inherit the session keyring across changes of the user and namespaces;
 * without a new one, services could read the keys of the session that started the server. Services that have the
 * server's user could also link its user keyring, which the kernel allows by number from every user namespace; for
 * them a system call filter (seccomp(2)) refuses the calls, as container engines do.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

interface Calls {
  /** Number of keyctl(2). Those of add_key(2) and request_key(2) are the two before. */
  keyctl: number;
  prctl: number;
  /** Another architecture whose programs the kernel may run: its AUDIT_ARCH value and number of keyctl(2). */
  other?: readonly [architecture: number, keyctl: number];
}

const CALLS: Partial<Record<NodeJS.Architecture, Calls>> = {
  arm: { keyctl: 311, prctl: 172 },
  arm64: { keyctl: 219, prctl: 167, other: [0x4000_0028, 311] },
  ia32: { keyctl: 288, prctl: 172 },
  loong64: { keyctl: 219, prctl: 167 },
  ppc64: { keyctl: 271, prctl: 171 },
  riscv64: { keyctl: 219, prctl: 167 },
  s390x: { keyctl: 280, prctl: 172 },
  x64: { keyctl: 250, prctl: 157, other: [0x4000_0003, 288] },
};

/** Succeeds when KEYCTL_JOIN_SESSION_KEYRING (1) changes the keyring that KEYCTL_GET_KEYRING_ID (0) reports. */
const trial = ({ keyctl }: Calls): string =>
  `my $old = syscall(${keyctl}, 0, -3, 0); exit(syscall(${keyctl}, 1, 0) < 0 || syscall(${keyctl}, 0, -3, 0) == $old)`;

/** A keyring that cannot be made (the quota of keys is used up) ends the command before it begins. */
const join = ({ keyctl }: Calls): string => `syscall(${keyctl}, 1, 0) < 0 and exit 125;`;

/** Instructions of a filter (struct sock_filter): code, jump if true, jump if false, value. */
function instructions({ keyctl, other = [0, 0] }: Calls): number[] {
  const [architecture, otherKeyctl] = other;
  return [
    [0x20, 0, 0, 4], // load the architecture
    [0x15, 0, 3, architecture],
    [0x20, 0, 0, 0], // load the number
    [0x35, 0, 6, otherKeyctl - 2],
    [0x25, 5, 4, otherKeyctl],
    [0x20, 0, 0, 0],
    [0x54, 0, 0, 0xbfff_ffff], // the x32 variant of a call has another bit
    [0x35, 0, 2, keyctl - 2],
    [0x25, 1, 0, keyctl],
    [0x06, 0, 0, 0x0005_0001], // EPERM
    [0x06, 0, 0, 0x7fff_0000], // allow
  ].flat();
}

/** PR_SET_NO_NEW_PRIVS (38), which every command gets anyway, and PR_SET_SECCOMP (22). */
function refuse(calls: Calls): string {
  const code = instructions(calls);
  return `my $f = pack("(SCCL)*", ${code.join(",")}); my $p = pack("Sx![p]P", ${code.length / 4}, $f); syscall(${calls.prctl}, 38, 1, 0, 0, 0) == 0 && syscall(${calls.prctl}, 22, 2, $p, 0, 0) == 0 or exit 125;`;
}

const REFUSED = (calls: Calls): string => `${refuse(calls)} exit(syscall(${calls.keyctl}, 0, -3, 0) >= 0)`;

const EXECUTE = "exec { $ARGV[0] } @ARGV; exit 126";

/**
 * Words before a command that take the keys away from it. None where Perl is missing or the kernel offers no keyrings to
 * this process.
 * @param perl a trusted path
 * @param root whether services have users of their own
 */
export async function withoutKeys(perl: string | null, root: boolean): Promise<readonly string[]> {
  const calls = process.platform === "linux" ? CALLS[process.arch] : undefined;
  if (perl === null || calls === undefined) return [];
  const works = (script: string): Promise<boolean> =>
    execute(perl, ["-e", script], { env: {}, cwd: "/", timeout: 5000 }).then(
      () => true,
      () => false,
    );
  if (!(await works(trial(calls)))) return [];
  const refusing = !root && (await works(REFUSED(calls))) ? refuse(calls) : "";
  return [perl, "-e", `${join(calls)} ${refusing} ${EXECUTE}`];
}
