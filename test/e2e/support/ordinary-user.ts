/** An ordinary user with a home folder, as whom a test that runs as root starts servers. */
import { spawnSync } from "node:child_process";
import {
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { BINARY, type Server, TestBench } from "./bench.js";

/** Words before a command that runs as a user. */
export const asUser = (uid: number): string[] => [
  "/usr/bin/setpriv",
  `--reuid=${uid}`,
  `--regid=${uid}`,
  "--clear-groups",
  "--",
];

const works = (words: string[]): boolean =>
  spawnSync(words[0] ?? "", words.slice(1), { stdio: "ignore", cwd: "/" }).status === 0;

/** A checkout below a folder that only root may enter cannot be run by others. */
export const canRunAs = (uid: number): boolean =>
  process.getuid?.() === 0 && works([...asUser(uid), process.execPath, BINARY, "--version"]);

/** Whether a user may open a device for reading and writing. */
export const canOpen = (uid: number, path: string): boolean =>
  works([...asUser(uid), "/bin/sh", "-c", 'exec 3<>"$1"', "sh", path]);

/** Why services of an ordinary user have no namespaces on this machine; null when they have some. */
export function noUserNamespaces(uid: number): string | null {
  if (!canRunAs(uid)) return "it needs root, and a checkout that other users can run";
  const sandbox = [
    "bwrap",
    "--unshare-user",
    "--unshare-pid",
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
  ];
  return works([...asUser(uid), ...sandbox, "--", "/bin/true"])
    ? null
    : "this machine has no user namespaces or no bubblewrap";
}

export class OrdinaryUser {
  readonly home: string;
  readonly bench = new TestBench("standalone");

  constructor(readonly uid: number) {
    this.home = mkdtempSync("/home/stackwarden-user-");
    chownSync(this.home, uid, uid);
    this.bench.undo.push(() => rmSync(this.home, { recursive: true, force: true }));
    for (const folder of ["projects", ".local/state/stackwarden"]) this.folder(folder);
    this.bench.wrapper = asUser(uid);
  }

  get state(): string {
    return join(this.home, ".local/state/stackwarden");
  }

  /** Creates a folder below the home folder. */
  folder(path: string): string {
    let at = this.home;
    for (const name of path.split("/")) {
      at = join(at, name);
      mkdirSync(at, { recursive: true });
      chownSync(at, this.uid, this.uid);
    }
    return at;
  }

  file(path: string, content: string, mode = 0o644): string {
    const full = join(this.folder(dirname(path)), path.slice(dirname(path).length));
    writeFileSync(full, content, { mode });
    chownSync(full, this.uid, this.uid);
    return full;
  }

  link(path: string, to: string): void {
    const full = join(this.folder(dirname(path)), path.slice(dirname(path).length));
    symlinkSync(to, full);
    lchownSync(full, this.uid, this.uid);
  }

  /** @returns the project's folder */
  project(name: string, files: Record<string, string>): string {
    for (const [path, content] of Object.entries(files)) this.file(`projects/${name}/${path}`, content);
    return join(this.home, "projects", name);
  }

  environment(): Record<string, string> {
    return {
      HOME: this.home,
      PATH: "/usr/bin:/bin",
      STACKWARDEN_STATE_DIR: this.state,
      STACKWARDEN_ROOTS: join(this.home, "projects"),
      STACKWARDEN_RUNTIME: "local",
    };
  }

  server(env: Record<string, string> = {}): Promise<Server> {
    return this.bench.server({ ...this.environment(), ...env });
  }

  /** What the user's servers left in its home folder. */
  entries = (path: string): string[] => readdirSync(join(this.home, path));
}
