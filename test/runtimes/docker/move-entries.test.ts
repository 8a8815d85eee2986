/** Archives whose entries move into a folder, read back by GNU tar. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { moveEntries } from "../../../src/runtimes/docker/volumes/move-entries.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-entries-"));
  mkdirSync(join(folder, "from"));
  mkdirSync(join(folder, "to"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function move(archive: Buffer, size = 65_536): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of moveEntries(chunks(archive, size), "volumes/data/")) parts.push(part);
  return Buffer.concat(parts);
}

const sh = (script: string, cwd: string): string => execFileSync("sh", ["-c", script], { cwd, encoding: "latin1" });

const FILL = `
  long=$(printf 'n%.0s' $(seq 90)); longer=$(printf 'l%.0s' $(seq 200))
  mkdir -p $long/$long/empty; head -c 1300 /dev/zero | tr '\\0' x > $long/$long/file; : > nothing
  ln $long/$long/file hard; ln -s ../../../outside link; mkfifo pipe; echo bytes > "$(printf 'caf\\351')"`;
const LONG_NAMES = "echo y > $longer; mkdir -p d; ln $longer d/$longer; ln -s /$longer/$longer d/to";
const TOUCH = "find . -depth -exec touch -h -d @1000000000 {} +";
// Not the times of folders: GNU tar sets some of them before it makes a hard link.
const LIST =
  "find . -printf '%P %y %l %m %s %n\\n' | sort; find . ! -type d -printf '%P %T@\\n' | sort; find . -type f -exec cksum {} + | sort";

describe("entries of an archive that move into a folder", () => {
  it.each([
    ["ustar", FILL],
    ["gnu", `${FILL}; ${LONG_NAMES}`],
    ["pax", `${FILL}; ${LONG_NAMES}`],
  ])("the format %s keeps names, links, content, modes and times", async (format, script) => {
    sh(`${script}; ${TOUCH}`, join(folder, "from"));
    const archive = execFileSync("tar", [`--format=${format}`, "-c", "."], { cwd: join(folder, "from") });
    writeFileSync(join(folder, "moved.tar"), await move(archive, 700));
    sh("tar -xf ../moved.tar", join(folder, "to"));
    const to = join(folder, "to/volumes/data");
    expect(sh(LIST, to)).toBe(sh(LIST, join(folder, "from")));
    const inode = (path: string) => statSync(join(to, path)).ino;
    expect(inode("hard")).toBe(inode(`${"n".repeat(90)}/${"n".repeat(90)}/file`));
  });

  it("a damaged archive, or one that ends early, is an error", async () => {
    writeFileSync(join(folder, "from/file"), "x".repeat(2000));
    const archive = execFileSync("tar", ["--format=pax", "-c", "file"], { cwd: join(folder, "from") });
    expect(spawnSync("tar", ["-t"], { input: await move(archive) }).stdout.toString()).toBe("volumes/data/file\n");
    // The extended header, its records, the header, half of the content, the content.
    for (const end of [512, 1024, 1536, 2500, 3584])
      await expect(move(archive.subarray(0, end))).rejects.toThrow("The archive ends early.");
    const damaged = (at: number, bytes: string): Promise<Buffer> => {
      const copy = Buffer.from(archive);
      copy.write(bytes, at, "latin1");
      return move(copy);
    };
    for (const at of [0, 1024]) await expect(damaged(at, "\u00ff")).rejects.toThrow("damaged header");
    for (const records of ["x", "0 a=b\n", "9999 a=b\n"])
      await expect(damaged(512, records)).rejects.toThrow("damaged extended header");
  });
});
