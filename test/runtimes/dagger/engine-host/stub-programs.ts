/** Stub programs on a separate PATH, which record their arguments and then run a script of the test. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** The directories of the machine's programs. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export class StubPrograms {
  readonly dir = mkdtempSync(join(tmpdir(), "stackwarden-host-"));
  readonly bin = join(this.dir, "bin");
  readonly calls = join(this.dir, "calls");
  readonly env: NodeJS.ProcessEnv = {
    PATH: SYSTEM_PATH,
    STACKWARDEN_PROGRAM_DIRS: `${this.bin}:${SYSTEM_PATH}`,
    LC_ALL: "C",
  };
  readonly #processes: ChildProcess[] = [];

  constructor() {
    mkdirSync(this.bin);
    mkdirSync(this.calls);
    chmodSync(this.dir, 0o755);
  }

  /** Creates a shell script that records its arguments first. */
  program(name: string, script: string): void {
    const record = `for word; do printf '%s\\0' "$word"; done > "$(mktemp "${this.calls}/${name}.XXXXXX")"`;
    writeFileSync(join(this.bin, name), `#!/bin/sh\n${record}\n${script}\n`, { mode: 0o755 });
  }

  /** Restricts PATH to these programs of the machine. */
  only(...names: string[]): void {
    for (const name of names) {
      const folder = SYSTEM_PATH.split(":").find((one) => existsSync(join(one, name)));
      if (folder !== undefined) symlinkSync(join(folder, name), join(this.bin, name));
    }
    this.env.PATH = this.bin;
    this.env.STACKWARDEN_PROGRAM_DIRS = this.bin;
  }

  /** Creates a container program whose `exec` runs the command on this machine. */
  engine(name: "docker" | "podman" | "nerdctl" | "finch", container: string): void {
    this.program(
      name,
      `case $1 in
        exec) [ "$3" = ${container} ] || { echo "Error: no such container: $3" >&2; exit 1; }; shift 3; exec "$@" ;;
        ps) echo ${container} ;;
        *) exit 64 ;;
      esac`,
    );
  }

  /** The arguments of every call of a program, in no particular order. */
  recorded(name: string): string[][] {
    return readFiles(this.calls, `${name}.`).map((text) => text.split("\0").slice(0, -1));
  }

  file(path: string, text: string): string {
    const full = join(this.dir, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  }

  removeFile(path: string): void {
    rmSync(join(this.dir, path));
  }

  /** Starts a process with `folder` as its root, so that `/proc/<pid>/root` shows the simulated cgroup files. */
  async rooted(folder: string): Promise<ChildProcess> {
    const program = 'chroot shift or die $!; chdir "/"; $| = 1; print "up\\n"; sleep 1 while 1';
    const child = spawn("perl", ["-e", program, folder], { stdio: ["ignore", "pipe", "inherit"] });
    this.#processes.push(child);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    return child;
  }

  async remove(): Promise<void> {
    for (const child of this.#processes) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await ended;
      }
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function readFiles(folder: string, prefix: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => readFileSync(join(folder, name), "utf8"));
}
