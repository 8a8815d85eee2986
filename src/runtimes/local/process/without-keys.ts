/**
 * Keeps keys (keyrings(7)) from commands. Processes inherit the session keyring across changes of the user and
 * namespaces; without a new one, services could read the keys of the session that started the server. Services with the
 * id of a person (the server's user, the owner of the project's folder) could also link that user's keyring, which the
 * kernel allows by number from every user namespace. A system call filter (seccomp(2)) refuses the calls, as container
 * engines do.
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
  arm: { keyctl: 311, prctl: 172, other: [0xc000_00b7, 219] },
  arm64: { keyctl: 219, prctl: 167, other: [0x4000_0028, 311] },
  ia32: { keyctl: 288, prctl: 172, other: [0xc000_003e, 250] },
  loong64: { keyctl: 219, prctl: 167 },
  ppc64: { keyctl: 271, prctl: 171 },
  riscv64: { keyctl: 219, prctl: 167 },
  s390x: { keyctl: 280, prctl: 172 },
  x64: { keyctl: 250, prctl: 157, other: [0x4000_0003, 288] },
};

/** Succeeds when KEYCTL_JOIN_SESSION_KEYRING (1) changes the keyring that KEYCTL_GET_KEYRING_ID (0) reports. */
const trial = ({ keyctl }: Calls): string =>
  `my $old = syscall(${keyctl}, 0, -3, 0); exit(syscall(${keyctl}, 1, 0) < 0 || syscall(${keyctl}, 0, -3, 0) == $old)`;

/** Where no filter follows, a keyring that cannot be made (the quota of keys is used up) ends the command. */
const join = ({ keyctl }: Calls, isFiltered: boolean): string =>
  `syscall(${keyctl}, 1, 0) < 0${isFiltered ? "" : ' and do { print STDERR "There is no session keyring: $!\\n"; exit 125 }'};`;

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

/** PR_SET_NO_NEW_PRIVS (38), which setpriv sets as well, and PR_SET_SECCOMP (22). */
function refuse(calls: Calls): string {
  const code = instructions(calls);
  const { prctl } = calls;
  return [
    `my $code = pack("(SCCL)*", ${code.join(",")});`,
    `my $program = pack("Sx![p]P", ${code.length / 4}, $code);`,
    `syscall(${prctl}, 38, 1, 0, 0, 0) == 0 && syscall(${prctl}, 22, 2, $program, 0, 0) == 0 or exit 125;`,
  ].join(" ");
}

/** Succeeds when the kernel refuses the calls after the filter. */
const refusedTrial = (calls: Calls): string => `${refuse(calls)} exit(syscall(${calls.keyctl}, 0, -3, 0) >= 0)`;

/**
 * Words before a command that keep keys from it; none where Perl is missing, or the kernel offers neither keyrings nor
 * filters to this process.
 * @param perl a trusted path
 */
export async function withoutKeys(perl: string | null): Promise<readonly string[]> {
  const calls = process.platform === "linux" ? CALLS[process.arch] : undefined;
  if (perl === null || calls === undefined) return [];
  const works = (script: string): Promise<boolean> =>
    execute(perl, ["-e", script], { env: {}, cwd: "/", timeout: 5000 }).then(
      () => true,
      () => false,
    );
  const [joins, filters] = await Promise.all([works(trial(calls)), works(refusedTrial(calls))]);
  const steps = [...(joins ? [join(calls, filters)] : []), ...(filters ? [refuse(calls)] : [])];
  return steps.length === 0 ? [] : [perl, "-e", [...steps, "exec { $ARGV[0] } @ARGV; exit 126"].join(" ")];
}
