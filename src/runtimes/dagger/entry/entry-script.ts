/**
 * The script that is the entry point of every service: it is mounted read-only, runs as the service's user, and finally
 * executes the service's command.
 */
import type { HealthTest } from "../../../stack/definition/types.js";
import { kernelLimits } from "../engine-host/limit-values.js";
import { RESTORE_WORDS } from "./secret-args.js";
import { ENGINE_VARIABLES, ENTRY_PATH, type EntryOptions, OWN_PREFIX } from "./types.js";

/**
 * POSIX sh, limited to the features of busybox. Every value is a positional parameter, so none is ever parsed as shell
 * text; the words of the health check and the command are passed on unchanged.
 * The health loop is a grandchild, so that init adopts it: a service must not have a child process that it did not
 * start.
 */
export const ENTRY_SCRIPT = `#!/bin/sh
# stackwarden's entry. Arguments: cgroups token wait memory cpu pids stop interval start-interval timeout n m,
# then the targets of the m volumes, the n words of the health check, and the command. "-" is no limit.

# From here on no set-uid program gains rights, where the image has the means.
possible() { grep -q "^NoNewPrivs:.0" /proc/self/status && setpriv --no-new-privs grep -q "^NoNewPrivs:.1" /proc/self/status; } 2>/dev/null
if possible; then exec setpriv --no-new-privs /bin/sh "$0" "$@"; fi

# The engine's own variables are not the service's; what it has of the same names is in others.
for _sw_name in ${ENGINE_VARIABLES.join(" ")}; do
  unset "$_sw_name"
  eval "_sw_own=\\\${${OWN_PREFIX}$_sw_name-} _sw_given=\\\${${OWN_PREFIX}$_sw_name+x}"
  [ -z "$_sw_given" ] || { export "$_sw_name=$_sw_own"; unset "${OWN_PREFIX}$_sw_name"; }
done

_sw_token=$2
${RESTORE_WORDS}

_sw_cgroups=$1 _sw_token=$2 _sw_wait=$3 _sw_memory=$4 _sw_cpu=$5 _sw_pids=$6 _sw_stop=$7 _sw_interval=$8 _sw_start_interval=$9
shift 9
_sw_timeout=$1 _sw_words=$2 _sw_volumes=$3
shift 3

# The volumes that hold nothing yet, by their number; PostgreSQL's lock file of a killed server is removed.
empty() {
  [ -r "$1" ] && [ -x "$1" ] || return 1
  for _sw_entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -e "$_sw_entry" ] || [ -L "$_sw_entry" ]; then return 1; fi
  done
}
_sw_empty= _sw_number=0
while [ "$_sw_number" -lt "$_sw_volumes" ]; do
  # This is the container's first process: no postmaster of it can run. The id in the file of one that was killed can
  # be that of another process here, which a new postmaster would take for a running one.
  [ "$PGDATA" != "$1" ] && [ "\${PGDATA#"$1"/}" = "$PGDATA" ] || rm -f "$PGDATA/postmaster.pid" 2>/dev/null
  if empty "$1"; then _sw_empty=$_sw_empty\${_sw_empty:+,}$_sw_number; fi
  _sw_number=$((_sw_number + 1))
  shift
done

say() { printf '\\036%s%s\\n' "$_sw_token" "$1" >&2; }
nap() { sleep "$1" || sleep 1; } 2>/dev/null

# Limits, as the service's own cgroup shows them.
at_most() { [ "$2" = - ] || { read -r _sw_is < "$1" && [ "$_sw_is" -gt 0 ] && [ "$_sw_is" -le "$2" ]; }; } 2>/dev/null
number() { case $1 in '' | *[!0-9]* | ?????????????*) return 1 ;; esac; }
cpu_at_most() { [ "$_sw_cpu" = - ] || { number "$1" && number "$2" && [ $(($1 * 100000)) -le $((_sw_cpu * $2)) ]; }; }
in_force() {
  if [ -f "$_sw_cgroups/cgroup.controllers" ]; then
    _sw_version='"v2"'
    at_most "$_sw_cgroups/memory.max" "$_sw_memory" && at_most "$_sw_cgroups/pids.max" "$_sw_pids" || return 1
    _sw_quota=max _sw_period=0
    [ "$_sw_cpu" = - ] || read -r _sw_quota _sw_period < "$_sw_cgroups/cpu.max"
  else
    _sw_version='"v1"'
    at_most "$_sw_cgroups/memory/memory.limit_in_bytes" "$_sw_memory" && at_most "$_sw_cgroups/pids/pids.max" "$_sw_pids" || return 1
    _sw_quota=max _sw_period=0
    [ "$_sw_cpu" = - ] || { read -r _sw_quota < "$_sw_cgroups/cpu/cpu.cfs_quota_us" && read -r _sw_period < "$_sw_cgroups/cpu/cpu.cfs_period_us"; }
  fi 2>/dev/null
  cpu_at_most "$_sw_quota" "$_sw_period"
}
# Seconds since the host's start, without a program.
now() { read -r _sw_now _ < /proc/uptime; _sw_now=\${_sw_now%%.*}; }
_sw_version=null
if [ "$_sw_memory$_sw_cpu$_sw_pids" != --- ]; then
  # A second more, because the present one has begun; without a wait nothing is read again.
  now
  _sw_end=$((_sw_now + _sw_wait + (_sw_wait > 0)))
  until in_force; do
    now
    if [ "$_sw_now" -ge "$_sw_end" ]; then
      say "{\\"type\\":\\"unlimited\\",\\"waitedSeconds\\":$_sw_wait}"
      exit 125
    fi
    nap 0.05
  done
fi

# What the kernel says of this process, which is about to become the service.
_sw_privileges=false _sw_seccomp=false
while read -r _sw_name _sw_first _sw_second _; do
  case $_sw_name in
    Uid:) _sw_uid=$_sw_second ;;
    Gid:) _sw_gid=$_sw_second ;;
    CapEff:) _sw_capabilities=$_sw_first ;;
    NoNewPrivs:) [ "$_sw_first" = 0 ] || _sw_privileges=true ;;
    Seccomp:) [ "$_sw_first" = 0 ] || _sw_seccomp=true ;;
  esac
done < /proc/$$/status
say "{\\"type\\":\\"start\\",\\"uid\\":$_sw_uid,\\"gid\\":$_sw_gid,\\"noNewPrivileges\\":$_sw_privileges,\\"capabilities\\":\\"$_sw_capabilities\\",\\"seccomp\\":$_sw_seccomp,\\"cgroup\\":$_sw_version,\\"empty\\":[$_sw_empty]}"

# One health check: its output, then a line with its exit code, and 9 when it took too long. Ended with all of its session.
_sw_group=$(command -v setsid)
check() {
  $_sw_group "$@" < /dev/null 2>&1 &
  _sw_checked=$!
  (
    trap 'kill "$!"; exit' TERM
    sleep "$_sw_timeout" & wait "$!"
    trap '' TERM
    kill -s KILL -- "-$_sw_checked" || kill -s KILL "$_sw_checked"
    exit 9
  ) > /dev/null 2>&1 &
  _sw_guard=$!
  { wait "$_sw_checked"; _sw_code=$?; kill "$_sw_guard"; wait "$_sw_guard"; _sw_late=$?; } 2>/dev/null
  printf '\\n%s %s' "$_sw_code" "$_sw_late"
}
watch() {
  _sw_pause=$_sw_start_interval
  while [ -d "/proc/$$" ]; do
    { _sw_seen=$(check "$@" | tail -c 1000); } 2>/dev/null
    _sw_code=\${_sw_seen##*
} _sw_late=false
    [ "\${_sw_code#* }" != 9 ] || _sw_late=true
    _sw_code=\${_sw_code% *}
    _sw_output=$(printf %s "\${_sw_seen%
*}" | od -An -v -tx1 | tr -d ' \\n')
    say "{\\"type\\":\\"health\\",\\"exitCode\\":\${_sw_code:-126},\\"timedOut\\":$_sw_late,\\"output\\":\\"$_sw_output\\"}"
    [ "$_sw_code" != 0 ] || _sw_pause=$_sw_interval
    nap "$_sw_pause"
  done
}

[ "$_sw_words" = 0 ] || (
  _sw_command=$(($# - _sw_words))
  while [ "$_sw_words" -gt 0 ]; do
    set -- "$@" "$1"
    shift
    _sw_words=$((_sw_words - 1))
  done
  shift "$_sw_command"
  ( watch "$@" > /dev/null ) &
)
shift "$_sw_words"
[ "$_sw_stop" != TERM ] || exec "$@"

# The engine sends SIGTERM and the service wants another signal: stay, and translate. A shell starts what it does not
# wait for with SIGINT and SIGQUIT ignored permanently; while it waits it takes no signal. So one starts the service and
# waits, another takes the signals and receives the service's process id, then its exit code. The engine's init signals the
# whole group: in a separate session the service gets the translated signal alone. Both inherit that signals are
# ignored: a signal that arrives before their traps are set ends neither.
on_signals() { for _sw_name in HUP INT QUIT TERM USR1 USR2; do trap "$1" "$_sw_name"; done; }
on_signals ''
exec 3>&1
{
  on_signals :
  $_sw_group /bin/sh -c 'echo "$$"; exec "$@" >&3 3>&-' sh "$@"
  echo "$?"
} | {
  exec 3>&-
  _sw_service= _sw_early= _sw_woken=
  pass() { _sw_woken=1; if [ -n "$_sw_service" ]; then kill -s "$1" "$_sw_service"; else _sw_early=$1; fi; } 2>/dev/null
  next() { until read -r _sw_line; do [ -n "$_sw_woken" ] || return 1; _sw_woken=; done; }
  trap 'pass "$_sw_stop"' TERM
  for _sw_name in HUP INT QUIT USR1 USR2; do trap "pass $_sw_name" "$_sw_name"; done
  next && _sw_service=$_sw_line
  [ -z "$_sw_early" ] || pass "$_sw_early"
  next && exit "$_sw_line"
  exit 1
}
exit "$?"
`;

const MILLISECONDS = 1000;
const seconds = (ms: number): string => String(Math.max(1, Math.round(ms)) / MILLISECONDS);

/** Words that start the check; none when the script does not run the check. */
export function checkWords(test: HealthTest | undefined): string[] {
  if (test?.kind === "cmd") return test.argv;
  // Shell text of the compose file; Docker uses the image's /bin/sh too.
  if (test?.kind === "cmd-shell") return ["/bin/sh", "-c", test.command];
  return [];
}

/** Arguments that start a service with the entry script. */
export function entryArgs(
  options: EntryOptions,
  /** The cgroup file system of the service; tests use another folder. */
  cgroups = "/sys/fs/cgroup",
): { args: string[]; environment: Record<string, string> } {
  const { token, limits, waitSeconds, health, command } = options;
  if (!/^[A-Za-z0-9]{16,64}$/.test(token)) throw new TypeError("An entry's token is 16 to 64 letters and digits.");
  if (command.length === 0) throw new TypeError("An entry needs a command.");
  const { memoryBytes, cpuQuotaUs, pids } = kernelLimits(limits);
  const words = health?.words ?? [];
  const { volumes = [] } = options;
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
    String(volumes.length),
    ...volumes,
    ...words,
    ...command,
  ];
  return { args, environment: {} };
}
