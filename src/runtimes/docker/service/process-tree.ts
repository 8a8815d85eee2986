/**
 * The processes of a command in a container. Each command runs below an init that adopts orphans, so that a process
 * that leaves its session or clears its environment still belongs to the tree. A marker variable in the environment of
 * that init identifies it; processes that the init lost carry the marker themselves.
 */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { containerPids } from "./kernel-view.js";

/** Docker's init, which containers have that are created with `Init: true`. */
const INIT = "/sbin/docker-init";
const INIT_NAME = "docker-init";

/** The command below an init that is a child subreaper. */
export const belowInit = (command: readonly string[]): string[] => [INIT, "-s", "--", ...command];

/** The message of that init for a program that cannot be run. */
export const INIT_FAILED = /^\[FATAL tini \(\d+\)\] exec .* failed: /m;

/** Waits between two rounds, in milliseconds. */
const PAUSE_MS = 5;
/** A command that forks faster than it is killed reaches the container's limit of processes. */
const MOST_ROUNDS = 200;

interface Process {
  pid: number;
  parent: number;
  name: string;
  zombie: boolean;
}

const read = (pid: number | string, name: string): Promise<string> =>
  readFile(`/proc/${pid}/${name}`, "latin1").catch(() => "");

/** A machine can have thousands of processes, and a container a few. */
async function processes(container: string, pid: number): Promise<Process[]> {
  const pids = (await containerPids(pid, container)) ?? (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => read(pid, "stat")));
  return stats.flatMap((stat) => {
    const [, pid, name = "", state, parent] = /^(\d+) \((.*)\) (\S) (\d+)/s.exec(stat) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), name, zombie: state === "Z" }];
  });
}

function descendants(all: readonly Process[], root: number): Process[] {
  const children = new Map<number, Process[]>();
  for (const one of all) children.set(one.parent, [...(children.get(one.parent) ?? []), one]);
  const tree: Process[] = [];
  for (const level = [root]; level.length > 0; ) {
    const next = children.get(level.pop() as number) ?? [];
    tree.push(...next);
    level.push(...next.map(({ pid }) => pid));
  }
  return tree;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The process has ended meanwhile.
  }
}

async function isMarked({ pid }: Process, container: string, mark: string): Promise<boolean> {
  if (!(await read(pid, "environ")).split("\0").includes(mark)) return false;
  return (await read(pid, "cgroup")).includes(container);
}

/**
 * On this machine, as root: kills without running another command in the container.
 * @param pid the container's main process; 0 when it is unknown: then all processes of the machine are read
 */
export async function killTree(container: string, mark: string, pid: number): Promise<void> {
  let init: number | undefined;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const all = await processes(container, pid);
    const marked: Process[] = [];
    await Promise.all(
      all.map(async (one) => {
        if (await isMarked(one, container, mark)) marked.push(one);
      }),
    );
    init ??= marked.find(({ name }) => name === INIT_NAME)?.pid;
    // A stopped init does not end with the command and still adopts the processes that the command leaves.
    if (init !== undefined) send(init, "SIGSTOP");
    const tree = init === undefined ? [] : descendants(all, init);
    const alive = [...tree, ...marked].filter(({ pid, zombie }) => pid !== init && !zombie);
    if (alive.length === 0) break;
    for (const { pid } of alive) send(pid, "SIGKILL");
    await delay(PAUSE_MS);
  }
  if (init !== undefined) send(init, "SIGKILL");
}

/** The same from inside the container. `read` needs no external program. Argument: the marker. */
export const KILL_SCRIPT = `mark=$1 init= round=0
marked() { tr '\\0' '\\n' < "/proc/$1/environ" 2>/dev/null | grep -qx "$mark"; }
for p in /proc/[0-9]*; do
  n=\${p#/proc/} name=
  { IFS= read -r name < "$p/comm"; } 2>/dev/null
  [ "$name" = ${INIT_NAME} ] && marked "$n" && init=$n
done
[ -n "$init" ] && kill -s STOP "$init" 2>/dev/null
while [ "$round" -lt ${MOST_ROUNDS} ]; do
  round=$((round + 1)) tree=" $init " left= grown=1
  while [ -n "$init$grown" ] && [ -n "$grown" ]; do
    grown=
    for p in /proc/[0-9]*; do
      n=\${p#/proc/} stat=
      case $tree in *" $n "*) continue ;; esac
      { IFS= read -r stat < "$p/stat"; } 2>/dev/null
      [ -n "$stat" ] || continue
      set -- \${stat##*) }
      case $tree in *" $2 "*) ;; *) continue ;; esac
      tree="$tree$n " grown=1
      [ "$1" = Z ] || { kill -s KILL "$n" 2>/dev/null && left=1; }
    done
  done
  [ -n "$left" ] || break
done
[ -n "$init" ] && kill -s KILL "$init" 2>/dev/null
for p in /proc/[0-9]*; do
  if marked "\${p#/proc/}"; then kill -s KILL "\${p#/proc/}" 2>/dev/null; fi
done
exit 0`;
