/**
 * Scripts that run on the engine's host, as functions of the helper's shell. Their text is constant; values are passed as
 * arguments.
 */
import { KILL_MARKED } from "./streamed-exec.js";

/** Detects the capabilities and the size of the host. */
const PROBE = `
printf 'uid %s\\n' "$(id -u)"
command -v runc > /dev/null && list=$(runc list -f json 2>&1) && printf 'runc ok\\n' || printf 'runc %s\\n' "$list"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then printf 'cgroup v2\\n'; else printf 'cgroup v1\\n'; fi
printf 'cpus %s\\n' "$(nproc)"
grep '^MemTotal:' /proc/meminfo
cd /sys/fs/cgroup && grep -H '' memory.max cpu.max memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us 2>/dev/null
:`;

/** Lists every container, as runc's JSON. */
const LIST = `
runc list -f json 2>/dev/null`;

/**
 * Prints the instance of each container (arguments: path of its bundle and first process, alternately), and an empty
 * line for containers that are not services. Nothing else of the configuration is printed, because it contains secrets.
 * Before and after a service, the engine runs containers with the same environment, which install CA certificates. Only a
 * service starts with the engine's init or the entry script. The mounts of a bundle are no evidence, because engine
 * 0.21.8 itself creates bind mounts. After the engine was killed, it discards its store with the bundles, while the
 * containers continue to run: of those only the process is left to ask.
 */
const INSTANCES = `
set -f
while [ "$#" -gt 1 ]; do
  config=$1/config.json instance=
  if [ ! -e "$config" ]
  then instance=\\"$(tr '\\0' '\\n' < "/proc/$2/environ" | grep '^STACKWARDEN_INSTANCE=[A-Za-z0-9_-]*$' | head -n 1)\\"
  else
    service=
    # One program for each bundle.
    for part in $(grep -ohE '"args":\\["/\\.(init|stackwarden/entry)"|"STACKWARDEN_INSTANCE=[A-Za-z0-9_-]*"' -- "$config"); do
      case $part in '"args"'*) service=1 ;; *) instance=\${instance:-$part} ;; esac
    done
    [ -n "$service" ] || instance=
  fi 2>/dev/null
  printf '%s\\n' "$instance"
  shift 2
done`;

/** The first process of a container (argument: its id). */
const PID = `
gone() { printf '%s\\n' "$1"; exit 3; }
state=$(runc state "$1" 2>&1) || gone "$state"
pid=
case $state in *'"pid":'*) pid=\${state#*'"pid":'} pid=\${pid#' '} pid=\${pid%%[!0-9]*} ;; esac
case $pid in '' | 0) gone 'it is not running' ;; esac`;

/** The children of a process. Each belongs to the thread that made it. */
const CHILDREN = `children=
for thread in "/proc/$pid/task"/*/children; do
  some=
  { read -r some < "$thread"; } 2>/dev/null
  children="$children $some"
done`;

const CGROUP_FILES = [
  ...["memory.max", "memory.current", "memory.peak", "memory.stat", "memory.events", "cpu.max", "cpu.stat"],
  ...["pids.max", "pids.current"],
  ...["limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "stat", "oom_control"].map(
    (one) => `memory/memory.${one}`,
  ),
  ...["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpu/cpu.stat", "cpuacct/cpuacct.usage"],
  ...["pids/pids.max", "pids/pids.current"],
].join(" ");

/**
 * Prints the kernel's view of a container (argument: its id) from inside, as `file:line` lines. The service is the
 * first child of the init, or the first process when the engine adds no init.
 */
const INSPECT = `${PID}
( cd "/proc/$pid/root/sys/fs/cgroup" && grep -H '' ${CGROUP_FILES} ) 2>/dev/null
sed 's/^/net:/' "/proc/$pid/net/dev" 2>/dev/null
service=$pid
${CHILDREN}
for child in $children; do
  [ "/proc/$child/exe" -ef "/proc/$pid/exe" ] || { service=$child; break; }
done
sed 's/^/status:/' "/proc/$service/status" 2>/dev/null || sed 's/^/status:/' "/proc/$pid/status" 2>/dev/null
:`;

/**
 * Waits some time for the first process of a container (argument: its id) that is neither its init nor the entry script
 * (argument: its path), and prints it. Each round starts only `runc`: shells skip the NUL bytes between arguments.
 */
const BEGUN = `${PID}
[ -r "/proc/$pid/task/$pid/children" ] || [ ! -d "/proc/$pid" ] || exit 6
nap() { sleep 0.03 || sleep 1; } 2>/dev/null
looks=0
while [ "$looks" -lt 30 ]; do
  looks=$((looks + 1))
  [ -d "/proc/$pid/task" ] || gone 'it is not running'
${CHILDREN}
  for child in $children; do
    [ "/proc/$child/exe" -ef "/proc/$pid/exe" ] && continue
    words=
    { read -r words < "/proc/$child/cmdline"; } 2>/dev/null
    case $words in '' | *"$2"*) continue ;; esac
    sed 's/^/status:/' "/proc/$child/status" 2>/dev/null && exit 0
  done
  nap
done
exit 5`;

/** No process was found yet. */
export const NOT_YET = 5;

/** Sets limits (arguments: id, then the options of `runc update`) and prints the resulting values. */
const APPLY = `
id=$1
shift
output=$(runc update "$@" "$id" 2>&1) || { printf '%s\\n' "$output"; runc state "$id" > /dev/null 2>&1 || exit 3; exit 4; }
set -- "$id"
${INSPECT}`;

export const GONE = 3;

/**
 * Counts the OOM kills of a container (argument: its id) in the kernel's log, after the container and its counters are
 * gone. Prints nothing when the log cannot be read.
 */
const OOM_KILLS = `
dmesg > /dev/null 2>&1 || exit 0
dmesg | grep -F 'oom-kill:' | grep -cF -- "/$1,"
:`;

/** By the name of their function. */
export const SCRIPTS = {
  host_probe: PROBE,
  host_list: LIST,
  host_instances: INSTANCES,
  host_inspect: INSPECT,
  host_begun: BEGUN,
  host_apply: APPLY,
  host_oom_kills: OOM_KILLS,
  host_kill_marked: KILL_MARKED,
};

export type Script = keyof typeof SCRIPTS;

/** The command of a request that runs a script: its function, then the arguments. */
export const script = (name: Script, ...args: string[]): string[] => [name, ...args];
