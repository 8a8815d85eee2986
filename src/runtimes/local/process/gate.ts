/**
 * The trusted programs between the server and a service's first instruction.
 *
 * Stage 1 runs with the server's rights, in `/`, and waits until the process is in its cgroup. setpriv (as root) then
 * changes the user for good, inside namespaces that bubblewrap makes (sandbox.ts) or nsenter joins where there are any. Stage 2 runs as the service's user, enters the working directory, reports to the server,
 * waits, sets the service's environment and becomes the command. Until then the environment travels as values of
 * variables that no program reads (`STACKWARDEN_ENV_1=NAME=value`), so that neither LD_PRELOAD nor PATH nor anything else
 * of a project takes effect in a process with other rights, and nothing of it is in a process list.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ServiceUser } from "../types.js";

const execute = promisify(execFile);

/** No line on descriptor 3 means that the server has ended. All values are positional; no text of theirs is executed. */
const STAGE_1 = 'IFS= read -r go <&3 || exit 125; exec "$@"';

const VARIABLE = "STACKWARDEN_ENV_";
/** Of the scripts below; an environment that has such a name takes the other way. */
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

/** The same for names that shells do not take. */
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

/** What shells set, change or drop themselves, whatever their environment was. */
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

/** Which trusted programs this machine has; found by running them. */
export interface GateTools {
  /** setpriv, or null where it is missing or too simple (BusyBox). */
  setpriv: string | null;
  /** For environments with names that shells drop, such as `discovery.type`; null: they pass through arguments. */
  perl: string | null;
}

export interface GateCommand {
  file: string;
  args: string[];
  /** The environment of stage 1 and of setpriv: inert. */
  env: Record<string, string>;
}

const hidden = (assignments: string[]): Record<string, string> =>
  Object.fromEntries(assignments.map((one, at) => [`${VARIABLE}${at + 1}`, one]));

/** Stage 2 with the command behind it. */
function secondStage(
  argv: string[],
  cwd: string,
  env: Record<string, string>,
  perl: string | null,
): { words: string[]; env: Record<string, string> } {
  const entries = Object.entries(env);
  const assignment = ([name, value]: [string, string]): string => `${name}=${value}`;
  const unusual = ([name]: [string, string]): boolean => !SHELL_NAME.test(name) || RESERVED.test(name);
  if (perl !== null && entries.some(unusual))
    return { words: [perl, "-e", STAGE_2_PERL, cwd, ...argv], env: hidden(entries.map(assignment)) };
  const own = ([name]: [string, string]): boolean => SHELL_NAMES.includes(name);
  const unset = SHELL_NAMES.filter((name) => env[name] === undefined).flatMap((name) => ["-u", name]);
  const again = entries.filter((entry) => own(entry) || unusual(entry)).map(assignment);
  return {
    words: ["/bin/sh", "-c", STAGE_2, "stackwarden", cwd, "/usr/bin/env", ...unset, "--", ...again, ...argv],
    env: hidden(entries.filter((entry) => !own(entry) && !unusual(entry)).map(assignment)),
  };
}

/** setpriv's options. As root they change the user for good and empty every set of capabilities. */
export const privileges = (user: Pick<ServiceUser, "uid" | "gid">, root: boolean): string[] => [
  ...(root
    ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    : []),
  "--no-new-privs",
  "--",
];

/** The whole chain for a command. */
export function gateCommand(
  command: { argv: string[]; cwd: string; env: Record<string, string>; user: ServiceUser; namespaces?: string[] },
  tools: GateTools,
  root: boolean,
): GateCommand {
  const { argv, cwd, env, user, namespaces = [] } = command;
  const stage = secondStage(argv, cwd, env, tools.perl);
  const drop = tools.setpriv === null ? [] : [tools.setpriv, ...privileges(user, root)];
  return {
    file: "/bin/sh",
    args: ["-c", STAGE_1, "stackwarden", ...namespaces, ...drop, ...stage.words],
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

/** @param root whether the server can give services users of their own */
export async function findGateTools(root: boolean): Promise<GateTools> {
  const nobody = { uid: 65_534, gid: 65_534 };
  const [setpriv, perl] = await Promise.all([
    firstThatWorks(["/usr/bin/setpriv", "/bin/setpriv"], [...privileges(nobody, root), "/bin/sh", "-c", ":"]),
    firstThatWorks(["/usr/bin/perl"], ["-e", "use POSIX ();"]),
  ]);
  return { setpriv, perl };
}
