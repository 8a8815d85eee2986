/**
 * The trusted programs that run between the server and the first instruction of a service.
 *
 * Stage 1 runs with the server's privileges, in `/`, and waits until the process is in its cgroup. Perl then gives it
 * an empty session keyring and a filter that refuses keyrings (without-keys.ts). setpriv (on a root server) changes the
 * user irrevocably. Where namespaces are available, bubblewrap creates them (sandbox.ts) or nsenter joins them before.
 * Stage 2 runs as the service's user, enters the working directory, reports to the server, waits, sets the service's
 * environment and executes the command. Until then the environment is passed as values of variables that no program
 * reads (`STACKWARDEN_ENV_1=NAME=value`). LD_PRELOAD, PATH and other settings of a project therefore have no effect in
 * a process with other privileges, and no value appears in a process list.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ServiceUser } from "../types.js";
import { withoutKeys } from "./without-keys.js";

const execute = promisify(execFile);

/**
 * Descriptor 3 closing without a line means that the server has ended. All values are positional parameters and are
 * never executed.
 */
const STAGE_1 = 'IFS= read -r go <&3 || exit 125; exec "$@"';

/** Members of a group can change each other's files. */
const SHARED_STAGE_1 = `umask 0002; ${STAGE_1}`;

const VARIABLE = "STACKWARDEN_ENV_";
/** Names that the scripts below use. A variable with such a name is passed by the Perl variant, or as an argument. */
const RESERVED = /^(__stackwarden|STACKWARDEN_ENV_)/;

/** What stage 2 reports on descriptor 3. */
export const READY = "ready";
export const NO_DIRECTORY = "cwd";

const STAGE_2 = `cd -- "$1" 2>/dev/null || { echo ${NO_DIRECTORY} >&3; exit 126; }
shift
echo ${READY} >&3 || exit 125
IFS= read -r __stackwarden_n <&3 || exit 125
exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
unset PWD OLDPWD
__stackwarden_n=1
{ while eval "[ -n \\"\\\${${VARIABLE}$__stackwarden_n+set}\\" ]"; do
  eval "export \\"\\$${VARIABLE}$__stackwarden_n\\""
  unset "${VARIABLE}$__stackwarden_n"
  __stackwarden_n=$((__stackwarden_n + 1))
done; } 2>/dev/null
exec "$@"`;

/** The same in Perl, for names of variables that shells do not accept. */
const STAGE_2_PERL = `use POSIX ();
open(my $c, "+<&=", 3) or exit 125;
my $d = shift @ARGV;
chdir $d or do { syswrite $c, "${NO_DIRECTORY}\\n"; exit 126 };
syswrite($c, "${READY}\\n") or exit 125;
my $l = "";
while (sysread $c, my $b, 1) { $l .= $b; last if $b eq "\\n" }
exit 125 unless $l =~ /\\n/;
POSIX::close($_) for 3 .. 1023;
my %e;
for (my $n = 1; defined(my $v = $ENV{"${VARIABLE}$n"}); $n++) { my ($k, $w) = split /=/, $v, 2; $e{$k} = $w }
%ENV = %e;
exec { $ARGV[0] } @ARGV;
print STDERR "$ARGV[0]: $!\\n";
POSIX::_exit($! == POSIX::ENOENT() ? 127 : 126);`;

/** Variables that shells set, change or drop regardless of their environment. */
const SHELL_NAMES = [
  "PWD",
  "OLDPWD",
  "SHLVL",
  "_",
  "IFS",
  "OPTIND",
  "PPID",
  "LINENO",
  "UID",
  "EUID",
  "SHELLOPTS",
  "BASHOPTS",
  "BASH_VERSINFO",
  "SECONDS",
  "RANDOM",
  "GROUPS",
  "DIRSTACK",
  "FUNCNAME",
];
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The trusted programs of this machine, detected by running them. */
export interface GateTools {
  /** setpriv, or null when it is missing or lacks the needed options (BusyBox). */
  setpriv: string | null;
  /**
   * For environments with names that shells drop, such as `discovery.type`; null: such variables are passed as
   * arguments.
   */
  perl: string | null;
  /** Words before a command that keep keys from it; empty where that is not possible. */
  withoutKeys: readonly string[];
  /** /bin/sh passes exactly the variables that it was given, so that no other program has to set the environment. */
  exactShell: boolean;
}

export interface GateCommand {
  file: string;
  args: string[];
  /** The environment of stage 1 and of setpriv, which has no effect on them. */
  env: Record<string, string>;
}

const hidden = (assignments: string[]): Record<string, string> =>
  Object.fromEntries(assignments.map((one, at) => [`${VARIABLE}${at + 1}`, one]));

/** Stage 2, followed by the command. */
function secondStage(
  argv: string[],
  cwd: string,
  env: Record<string, string>,
  { perl, exactShell }: Pick<GateTools, "perl" | "exactShell">,
): { words: string[]; env: Record<string, string> } {
  const entries = Object.entries(env);
  const assignment = ([name, value]: [string, string]): string => `${name}=${value}`;
  const unusual = ([name]: [string, string]): boolean => !SHELL_NAME.test(name) || RESERVED.test(name);
  if (perl !== null && entries.some(unusual))
    return { words: [perl, "-e", STAGE_2_PERL, cwd, ...argv], env: hidden(entries.map(assignment)) };
  const own = ([name]: [string, string]): boolean => SHELL_NAMES.includes(name);
  if (exactShell && !entries.some((entry) => own(entry) || unusual(entry)))
    return {
      words: ["/bin/sh", "-c", STAGE_2, "stackwarden", cwd, ...argv],
      env: hidden(entries.map(assignment)),
    };
  const unset = SHELL_NAMES.filter((name) => env[name] === undefined).flatMap((name) => ["-u", name]);
  const again = entries.filter((entry) => own(entry) || unusual(entry)).map(assignment);
  return {
    words: ["/bin/sh", "-c", STAGE_2, "stackwarden", cwd, "/usr/bin/env", ...unset, "--", ...again, ...argv],
    env: hidden(entries.filter((entry) => !own(entry) && !unusual(entry)).map(assignment)),
  };
}

/** Options of setpriv. On a root server they change the user irrevocably and clear every capability set. */
export const privileges = (
  { uid, gid, groups = [] }: Pick<ServiceUser, "uid" | "gid" | "groups">,
  root: boolean,
): string[] => [
  ...(root
    ? [
        `--reuid=${uid}`,
        `--regid=${gid}`,
        groups.length === 0 ? "--clear-groups" : `--groups=${groups.join(",")}`,
        "--inh-caps=-all",
        "--bounding-set=-all",
      ]
    : []),
  "--no-new-privs",
  "--",
];

/** The complete chain of programs for a command. */
export function gateCommand(
  command: { argv: string[]; cwd: string; env: Record<string, string>; user: ServiceUser; namespaces?: string[] },
  tools: GateTools,
  root: boolean,
): GateCommand {
  const { argv, cwd, env, user, namespaces = [] } = command;
  const stage = secondStage(argv, cwd, env, tools);
  const drop = tools.setpriv === null ? [] : [tools.setpriv, ...privileges(user, root)];
  return {
    file: "/bin/sh",
    args: [
      "-c",
      (user.groups ?? []).length === 0 ? STAGE_1 : SHARED_STAGE_1,
      "stackwarden",
      ...tools.withoutKeys,
      ...namespaces,
      ...drop,
      ...stage.words,
    ],
    env: stage.env,
  };
}

async function firstThatWorks(paths: string[], args: string[]): Promise<string | null> {
  for (const path of paths) {
    const works = await execute(path, args, { env: {}, cwd: "/", timeout: 5000 }).then(
      () => true,
      () => false,
    );
    if (works) return path;
  }
  return null;
}

/** Whether a shell that sets one variable, as stage 2 does, passes that one only. */
async function shellIsExact(): Promise<boolean> {
  const script = 'cd -- "$1"; unset PWD OLDPWD; export "$STACKWARDEN_ENV_1"; unset STACKWARDEN_ENV_1; exec "$2"';
  const env = { STACKWARDEN_ENV_1: "STACKWARDEN_TRIAL=1" };
  return execute("/bin/sh", ["-c", script, "stackwarden", "/", "/usr/bin/env"], { env, cwd: "/", timeout: 5000 }).then(
    ({ stdout }) => stdout === "STACKWARDEN_TRIAL=1\n",
    () => false,
  );
}

/** @param root whether the server can assign separate users to services */
export async function findGateTools(root: boolean): Promise<GateTools> {
  const nobody = { uid: 65_534, gid: 65_534 };
  const findPerl = firstThatWorks(["/usr/bin/perl"], ["-e", "use POSIX ();"]);
  const [setpriv, perl, words, exactShell] = await Promise.all([
    firstThatWorks(["/usr/bin/setpriv", "/bin/setpriv"], [...privileges(nobody, root), "/bin/sh", "-c", ":"]),
    findPerl,
    findPerl.then(withoutKeys),
    shellIsExact(),
  ]);
  return { setpriv, perl, withoutKeys: words, exactShell };
}
