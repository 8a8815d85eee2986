/** The context of an installation in a temporary project, and packages that install without a network. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { privateDirs } from "../../../../src/runtimes/local/files/create.js";
import type { InstallContext } from "../../../../src/runtimes/local/install/install-context.js";
import type { RuntimeNotice } from "../../../../src/stack/runtime.js";
import { RecordingSink } from "../../contract/bench.js";
import { DirectHost } from "./direct-host.js";
import { tempDir } from "./fixture.js";

interface Project {
  host: DirectHost;
  folder: string;
  stateDir: string;
  sink: RecordingSink;
  notices: RuntimeNotice[];
  phases: string[];
}

export async function installContext(
  { host, folder, stateDir, sink, notices, phases }: Project,
  fields: Partial<InstallContext> = {},
): Promise<InstallContext> {
  const { service = "web" } = fields;
  const user = await host.userFor("test", service);
  const { home, tmp } = await privateDirs(stateDir, service, user);
  return {
    project: "test",
    projectStateDir: stateDir,
    folder,
    service,
    services: [service],
    limits: {},
    user,
    host,
    sink,
    signal: new AbortController().signal,
    home,
    tmp,
    notice: (notice) => notices.push(notice),
    phase: (message) => phases.push(message),
    retry: { maxRetries: 0, baseDelayMs: 1 },
    ...fields,
  };
}

export class InstallFixture {
  readonly dir = tempDir();
  readonly folder = join(this.dir.path, "project");
  readonly stateDir = join(this.dir.path, "state/projects/test");
  readonly host = new DirectHost();
  readonly notices: RuntimeNotice[] = [];
  readonly phases: string[] = [];
  sink = new RecordingSink();

  constructor() {
    mkdirSync(this.folder, { mode: 0o755 });
    mkdirSync(this.stateDir, { recursive: true, mode: 0o711 });
  }

  context(fields: Partial<InstallContext> = {}): Promise<InstallContext> {
    const services = ["web", "worker", "bad", "empty"];
    return installContext(this, { services, retry: { maxRetries: 3, baseDelayMs: 5 }, ...fields });
  }

  file(path: string, text: string): string {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o755 });
    writeFileSync(full, text);
    return full;
  }

  close(): void {
    this.dir.remove();
  }
}

/** A wheel with one module, `VERSION = "<version>"`. @returns its file name */
export function wheel(dir: string, name: string, version: string): string {
  const file = `${name}-${version}-py3-none-any.whl`;
  const program = `
import sys, zipfile
path, name, version = sys.argv[1:]
with zipfile.ZipFile(path, "w") as z:
    z.writestr(f"{name}.py", f"VERSION = {version!r}\\n")
    info = f"{name}-{version}.dist-info"
    z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    z.writestr(f"{info}/RECORD", "")
`;
  execFileSync("/usr/bin/python3", ["-c", program, join(dir, file), name, version]);
  return file;
}

/** A node package with one module that exports its version. @returns the tarball's absolute path */
export function tarball(dir: string, name: string, version: string, scripts: Record<string, string> = {}): string {
  const file = join(dir, `${name}-${version}.tgz`);
  const root = join(dir, `${name}-${version}.d`, "package");
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "package.json"), JSON.stringify({ name, version, main: "index.js", scripts }));
  writeFileSync(join(root, "index.js"), `module.exports = ${JSON.stringify(version)};\n`);
  execFileSync("tar", ["-czf", file, "-C", dirname(root), "package"]);
  return file;
}
