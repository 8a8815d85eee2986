/** The script that is every service's entry: mounted read-only, runs as the service's user, becomes the service. */
import type { HealthTest } from "../../../stack/definition/types.js";
import { kernelLimits } from "../limit-values.js";
import { ENTRY_PATH, type EntryOptions } from "./types.js";

/**
 * POSIX sh with what busybox has. Each value of ours is a positional parameter, so no value is ever read as shell text;
 * the health check and the command are passed on as the words that they are.
 * The health loop is a grandchild, so that init adopts it: a service must not find a child that it did not start.
 */
export const ENTRY_SCRIPT = `#!/bin/sh
# stackwarden's entry. Arguments: cgroups token wait memory cpu pids stop interval start-interval timeout n,
# then the n words of the health check, then the command. "-" is no limit.

# From here on nobody gains rights by a set-uid program, where the image has the means.
possible() { grep -q "^NoNewPrivs:.0" /proc/self/status && setpriv --no-new-privs grep -q "^NoNewPrivs:.1" /proc/self/status; } 2>/dev/null
if possible; then exec setpriv --no-new-privs /bin/sh "$0" "$@"; fi

cgroups=$1 token=$2 wait=$3 memory=$4 cpu=$5 pids=$6 stop=$7 interval=$8 start_interval=$9
shift 9
timeout=$1 words=$2
shift 2

say() { printf '\\036%s%s\\n' "$token" "$1" >&2; }
nap() { sleep "$1" || sleep 1; } 2>/dev/null

# Limits, as the service's own cgroup shows them.
at_most() { [ "$2" = - ] || { read -r is < "$1" && [ "$is" -gt 0 ] && [ "$is" -le "$2" ]; }; } 2>/dev/null
number() { case $1 in '' | *[!0-9]* | ?????????????*) return 1 ;; esac; }
cpu_at_most() { [ "$cpu" = - ] || { number "$1" && number "$2" && [ $(($1 * 100000)) -le $((cpu * $2)) ]; }; }
in_force() {
  if [ -f "$cgroups/cgroup.controllers" ]; then
    version='"v2"'
    at_most "$cgroups/memory.max" "$memory" && at_most "$cgroups/pids.max" "$pids" || return 1
    quota=max period=0
    [ "$cpu" = - ] || read -r quota period < "$cgroups/cpu.max"
  else
    version='"v1"'
    at_most "$cgroups/memory/memory.limit_in_bytes" "$memory" && at_most "$cgroups/pids/pids.max" "$pids" || return 1
    quota=max period=0
    [ "$cpu" = - ] || { read -r quota < "$cgroups/cpu/cpu.cfs_quota_us" && read -r period < "$cgroups/cpu/cpu.cfs_period_us"; }
  fi 2>/dev/null
  cpu_at_most "$quota" "$period"
}
version=null
if [ "$memory$cpu$pids" != --- ]; then
  end=$(($(date +%s) + wait))
  until in_force; do
    if [ "$(date +%s)" -gt "$end" ]; then
      say "{\\"type\\":\\"unlimited\\",\\"waitedSeconds\\":$wait}"
      exit 125
    fi
    nap 0.05
  done
fi

# What the kernel says of this process, which is about to become the service.
privileges=false seccomp=false
while read -r name first second _; do
  case $name in
    Uid:) uid=$second ;;
    Gid:) gid=$second ;;
    CapEff:) capabilities=$first ;;
    NoNewPrivs:) [ "$first" = 0 ] || privileges=true ;;
    Seccomp:) [ "$first" = 0 ] || seccomp=true ;;
  esac
done < /proc/$$/status
say "{\\"type\\":\\"start\\",\\"uid\\":$uid,\\"gid\\":$gid,\\"noNewPrivileges\\":$privileges,\\"capabilities\\":\\"$capabilities\\",\\"seccomp\\":$seccomp,\\"cgroup\\":$version}"

# One health check: its output, then a line with its exit code, and 9 when it took too long. Ended with all of its session.
group=$(command -v setsid)
check() {
  $group "$@" < /dev/null 2>&1 &
  checked=$!
  (
    trap 'kill "$!"; exit' TERM
    sleep "$timeout" & wait "$!"
    trap '' TERM
    kill -s KILL -- "-$checked" || kill -s KILL "$checked"
    exit 9
  ) > /dev/null 2>&1 &
  guard=$!
  { wait "$checked"; code=$?; kill "$guard"; wait "$guard"; late=$?; } 2>/dev/null
  printf '\\n%s %s' "$code" "$late"
}
watch() {
  pause=$start_interval
  while [ -d "/proc/$$" ]; do
    { seen=$(check "$@" | tail -c 1000); } 2>/dev/null
    code=\${seen##*
} late=false
    [ "\${code#* }" != 9 ] || late=true
    code=\${code% *}
    output=$(printf %s "\${seen%
*}" | od -An -v -tx1 | tr -d ' \\n')
    say "{\\"type\\":\\"health\\",\\"exitCode\\":\${code:-126},\\"timedOut\\":$late,\\"output\\":\\"$output\\"}"
    [ "$code" != 0 ] || pause=$interval
    nap "$pause"
  done
}

[ "$words" = 0 ] || (
  command=$(($# - words))
  while [ "$words" -gt 0 ]; do
    set -- "$@" "$1"
    shift
    words=$((words - 1))
  done
  shift "$command"
  ( watch "$@" > /dev/null ) &
)
shift "$words"
[ "$stop" != TERM ] || exec "$@"

# The engine sends SIGTERM and the service wants another signal: stay, and translate. A shell starts what it does not
# wait for with SIGINT and SIGQUIT ignored; env can undo that, or else the shell's own trap, in some. The engine's init
# signals the whole group: in a session of its own the service gets the translated signal alone.
if env --default-signal=INT,QUIT true 2>/dev/null; then set -- env --default-signal=INT,QUIT "$@"; fi
( trap - INT QUIT; exec $group "$@" ) &
service=$!
trap 'kill -s "$stop" "$service"' TERM
for name in HUP INT QUIT USR1 USR2; do trap "kill -s $name $service" "$name"; done
while
  wait "$service"
  code=$?
  kill -s 0 "$service" 2>/dev/null
do :; done
wait "$service" 2>/dev/null
last=$?
[ "$last" = 127 ] || code=$last
exit "$code"
`;

const MILLISECONDS = 1000;
const seconds = (ms: number): string => String(Math.max(1, Math.round(ms)) / MILLISECONDS);

/** Words that the check is started with; none: it is not the script's to run. */
function checkWords(test: HealthTest | undefined): string[] {
  if (test?.kind === "cmd") return test.argv;
  // The compose file's own shell text; Docker takes the image's /bin/sh too.
  if (test?.kind === "cmd-shell") return ["/bin/sh", "-c", test.command];
  return [];
}

/** What a service is started with. `environment` is what the script needs beside its arguments: nothing. */
export function entryArgs(
  options: EntryOptions,
  /** Of the service; tests have one of their own. */
  cgroups = "/sys/fs/cgroup",
): { args: string[]; environment: Record<string, string> } {
  const { token, limits, waitSeconds, health, command } = options;
  if (!/^[A-Za-z0-9]{16,64}$/.test(token)) throw new TypeError("An entry's token is 16 to 64 letters and digits.");
  if (command.length === 0) throw new TypeError("An entry needs a command.");
  const { memoryBytes, cpuQuotaUs, pids } = kernelLimits(limits);
  const words = checkWords(health?.test);
  const stop = options.stopSignal.replace(/^SIG/, "");
  if (!/^[A-Z0-9]{1,8}$/.test(stop)) throw new TypeError("An entry's stop signal is a name or a number.");
  const args = [
    ENTRY_PATH,
    cgroups,
    token,
    String(Math.ceil(waitSeconds)),
    String(memoryBytes ?? "-"),
    String(cpuQuotaUs ?? "-"),
    String(pids ?? "-"),
    stop,
    seconds(health?.intervalMs ?? 0),
    seconds(health?.startIntervalMs ?? 0),
    seconds(health?.timeoutMs ?? 0),
    String(words.length),
    ...words,
    ...command,
  ];
  return { args, environment: {} };
}
