import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { extract, type Headers } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sendArchive } from "../../../../src/runtimes/docker/engine/send-archive.js";
import { stepOf } from "../../../../src/runtimes/docker/image/build.js";
import { buildContext } from "../../../../src/runtimes/docker/image/context.js";
import { splitReference } from "../../../../src/runtimes/docker/image/pull.js";
import { walkBeneath } from "../../../../src/system/walk-beneath.js";

let folder: string;
const put = (path: string, text = path): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};

interface Entry {
  header: Headers;
  text: string;
}

async function archived(options: Partial<Parameters<typeof buildContext>[0]> = {}) {
  const { archive, dockerfile } = await buildContext({
    context: folder,
    dockerfile: "Dockerfile",
    folder,
    exclude: [],
    ...options,
  });
  const entries = new Map<string, Entry>();
  await new Promise<void>((resolve, reject) => {
    const reader = extract();
    reader.on("entry", (header, body, next) => {
      let text = "";
      body.on("data", (chunk) => {
        text += chunk;
      });
      body.once("end", () => {
        entries.set(header.name, { header, text });
        next();
      });
    });
    reader.once("finish", resolve);
    for (const one of [archive, reader]) one.once("error", reject);
    archive.pipe(reader);
  });
  return { entries, dockerfile, names: [...entries.keys()].sort() };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-context-"));
  put("Dockerfile", "FROM scratch\n");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("buildContext", () => {
  it("the context contains files, folders, links and modes unchanged", async () => {
    put("app/main.sh", "#!/bin/sh\n");
    chmodSync(join(folder, "app/main.sh"), 0o755);
    put("empty", "");
    symlinkSync("app/main.sh", join(folder, "link"));
    const { entries, names } = await archived();
    expect(names).toEqual(["Dockerfile", "app/", "app/main.sh", "empty", "link"]);
    expect(entries.get("app/main.sh")).toMatchObject({ text: "#!/bin/sh\n", header: { mode: 0o755 } });
    expect(entries.get("link")?.header).toMatchObject({ type: "symlink", linkname: "app/main.sh" });
  });

  it("the context omits ignored files, and keeps the Dockerfile and re-included files", async () => {
    put(".dockerignore", "# comment\nnode_modules\n**/*.log\nDockerfile\ndocs\n!docs/keep.md\n");
    for (const path of ["node_modules/a/index.js", "src/a.log", "src/a.js", "docs/drop.md", "docs/keep.md"]) put(path);
    const { names } = await archived();
    expect(names).toEqual([".dockerignore", "Dockerfile", "docs/keep.md", "src/", "src/a.js"]);
  });

  it("the Dockerfile's own ignore file replaces .dockerignore", async () => {
    put(".dockerignore", "a.txt\n");
    put("build/Dockerfile.dev", "FROM scratch\n");
    put("build/Dockerfile.dev.dockerignore", "b.txt\n");
    for (const path of ["a.txt", "b.txt"]) put(path);
    const { names, dockerfile } = await archived({ dockerfile: "build/Dockerfile.dev" });
    expect(dockerfile).toBe("build/Dockerfile.dev");
    expect(names).toContain("a.txt");
    expect(names).not.toContain("b.txt");
  });

  it("the context omits files that hold secrets", async () => {
    for (const path of [".env", "secrets/token", "src/a.js"]) put(path);
    const { names } = await archived({ exclude: [join(folder, ".env"), join(folder, "secrets")] });
    expect(names).toEqual(["Dockerfile", "src/", "src/a.js"]);
  });

  it("a Dockerfile outside of the context is sent under a separate name", async () => {
    put("web/index.js");
    const { names, dockerfile, entries } = await archived({
      context: join(folder, "web"),
      dockerfile: join(folder, "Dockerfile"),
    });
    expect(names).toEqual([".dockerfile.stackwarden", "index.js"]);
    expect(entries.get(dockerfile)?.text).toBe("FROM scratch\n");
  });

  it("the context omits named pipes", async () => {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    expect((await archived()).names).toEqual(["Dockerfile"]);
  });

  it("walkBeneath does not block the event loop and ignores a folder that disappears", async () => {
    for (let at = 0; at < 450; at += 1) put(`${at % 50}/${at}`, "");
    put("a/gone/file");
    let turns = 0;
    const count = (): void => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    const paths: string[] = [];
    const limits = { entries: 5000, bytes: 1e6, depth: 9 };
    for await (const { path } of walkBeneath(folder, { within: folder, limits, hint: "", choose: () => "take" })) {
      paths.push(path);
      if (path === "a/gone") rmSync(join(folder, path), { recursive: true });
    }
    clearImmediate(next);
    expect(paths).toHaveLength(1 + 50 + 450 + 2);
    expect(turns).toBeGreaterThan(0);
  });

  it("a .dockerignore pattern that cannot be applied, and folders nested too deep, are refused with the reason", async () => {
    for (const [pattern, message] of [
      ["a*b*c*d*e*f*g*h", "of a .dockerignore takes too long to match"],
      ["[z-a]", "A pattern of a .dockerignore is not valid"],
    ] as const) {
      put(".dockerignore", `${pattern}\n`);
      put("some/file", "text");
      await expect(archived()).rejects.toMatchObject({
        code: "INVALID_STACK",
        message: expect.stringContaining(message),
      });
    }
    rmSync(join(folder, ".dockerignore"));
    put(`${"d/".repeat(300)}file`);
    await expect(archived()).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining("nested deeper than"),
    });
  });

  it("a file that becomes shorter while it is read fails the build", async () => {
    put("large", "x".repeat(8_000_000));
    const { archive } = await buildContext({ context: folder, dockerfile: "Dockerfile", folder, exclude: [] });
    let bytes = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of archive as AsyncIterable<Buffer>) {
        if (bytes < 200_000 && bytes + chunk.length >= 200_000) writeFileSync(join(folder, "large"), "");
        bytes += chunk.length;
      }
    };
    await expect(read()).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining("large changed while it was read"),
    });
    expect(bytes).toBeLessThan(8_000_000);
  });

  it("a missing file and a path outside of the project are refused", async () => {
    await expect(archived({ dockerfile: "missing" })).rejects.toMatchObject({ code: "INVALID_STACK" });
    await expect(archived({ context: join(folder, "missing") })).rejects.toMatchObject({ code: "INVALID_STACK" });
    const outside = mkdtempSync(join(tmpdir(), "stackwarden-docker-outside-"));
    try {
      writeFileSync(join(outside, "Dockerfile"), "FROM scratch\n");
      writeFileSync(join(outside, "ignore"), "x\n");
      await expect(archived({ context: outside })).rejects.toThrow("outside the project");
      await expect(archived({ dockerfile: join(outside, "Dockerfile") })).rejects.toThrow("outside the project");
      symlinkSync(join(outside, "ignore"), join(folder, ".dockerignore"));
      await expect(archived()).rejects.toThrow("outside the project");
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
    rmSync(join(folder, ".dockerignore"));
    put(".dockerignore", "x\n".repeat(200_000));
    await expect(archived()).rejects.toThrow("256 KiB");
  });
});

it("sendArchive cancels a request that waits for an archive that failed", async () => {
  const archive = new PassThrough();
  let cancelled = false;
  const sending = sendArchive(archive, new AbortController().signal, (signal) => {
    signal.addEventListener("abort", () => {
      cancelled = true;
    });
    return new Promise<never>(() => undefined);
  });
  archive.destroy(new Error("the disk is broken"));
  await expect(sending).rejects.toThrow("the disk is broken");
  expect(cancelled).toBe(true);
  const whole = new PassThrough();
  expect(await sendArchive(whole, new AbortController().signal, async () => "sent")).toBe("sent");
  expect(whole.destroyed).toBe(true);
});

describe("builders and registries", () => {
  it("stepOf recognises the steps of both builders", () => {
    expect(stepOf("#5 [build 2/4] RUN npm ci")).toBe("#5 [build 2/4] RUN npm ci");
    expect(stepOf("Step 2/3 : RUN true")).toBe("Step 2/3 : RUN true");
    expect(stepOf("#5 DONE 0.1s")).toBeNull();
  });

  it("splitReference uses the tag latest by default and keeps a digest", () => {
    expect(splitReference("node")).toEqual({ fromImage: "node", tag: "latest" });
    expect(splitReference("localhost:5000/app")).toEqual({ fromImage: "localhost:5000/app", tag: "latest" });
    expect(splitReference("localhost:5000/app:1")).toEqual({ fromImage: "localhost:5000/app", tag: "1" });
    expect(splitReference("app@sha256:ab")).toEqual({ fromImage: "app@sha256:ab", tag: "" });
  });
});
