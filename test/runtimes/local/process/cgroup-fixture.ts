/** A /proc and a cgroup tree made of plain files. `kernelWrite` does what the kernel would do with a write. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { tempDir } from "../support/fixture.js";

export class CgroupTree {
  readonly dir = tempDir();
  readonly procRoot = join(this.dir.path, "proc");
  readonly cgroupRoot = join(this.dir.path, "root");
  readonly #mounts: string[] = [];

  /** @param groups the lines of /proc/self/cgroup */
  constructor(groups: string[]) {
    mkdirSync(join(this.procRoot, "self"), { recursive: true });
    writeFileSync(join(this.procRoot, "self/cgroup"), `${groups.join("\n")}\n`);
    this.#table();
  }

  mount(point: string, type: "cgroup" | "cgroup2", options: string, root = "/"): void {
    this.#mounts.push(
      `31 23 0:28 ${root} ${point.replaceAll(" ", "\\040")} rw,relatime shared:9 - ${type} ${type} rw,${options}`,
    );
    this.#table();
  }

  #table(): void {
    const table = ["23 1 8:1 / / rw - ext4 /dev/sda rw", ...this.#mounts];
    writeFileSync(join(this.procRoot, "self/mountinfo"), `${table.join("\n")}\n`);
  }

  /** Makes a cgroup with these files. @returns its path */
  group(path: string, files: Record<string, string> = {}): string {
    const folder = join(this.cgroupRoot, path);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries({ "cgroup.procs": "", ...files }))
      writeFileSync(join(folder, name), text);
    return folder;
  }

  text(path: string): string {
    return readFileSync(join(this.cgroupRoot, path), "utf8");
  }

  close(): void {
    this.dir.remove();
  }
}

const textOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** The rules of cgroup v2: a cgroup with processes delegates no controllers, and a process is in one cgroup. */
export async function kernelWrite(directory: string, file: string, value: string | number): Promise<void> {
  const text = String(value);
  const path = join(directory, file);
  if (file === "cgroup.subtree_control" && text.startsWith("+")) {
    if (textOf(join(directory, "cgroup.procs")).trim() !== "")
      throw Object.assign(new Error("EBUSY: resource busy"), { code: "EBUSY" });
    await writeFile(path, `${textOf(path).trim()} ${text.replaceAll("+", "")}\n`);
    return;
  }
  if (file === "cgroup.procs") {
    const parent = join(dirname(directory), "cgroup.procs");
    const others = textOf(parent)
      .split("\n")
      .filter((pid) => pid !== "" && pid !== text);
    await writeFile(parent, others.map((pid) => `${pid}\n`).join(""));
  }
  await writeFile(path, `${text}\n`);
}
