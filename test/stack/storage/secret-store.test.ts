import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSecretStore } from "../../../src/stack/storage/secret-store.js";

describe("SecretStore", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stackwarden-secrets-"));
    file = join(folder, "secrets.json");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("a secret is generated once and kept across restarts", async () => {
    const first = await openSecretStore(file);
    const secret = await first.generate("postgres-password");
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await first.generate("postgres-password")).toBe(secret);
    const second = await openSecretStore(file);
    expect(await second.generate("postgres-password")).toBe(secret);
    expect(second.values()).toEqual([secret]);
  });

  it("parallel calls lose no secret, and the file has mode 0600", async () => {
    const store = await openSecretStore(file);
    const made = await Promise.all(["a", "b", "c", "a"].map((name) => store.generate(name)));
    expect(new Set(made).size).toBe(3);
    expect(Object.keys(JSON.parse(readFileSync(file, "utf8"))).sort()).toEqual(["a", "b", "c"]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["secrets.json"]);
  });

  it.each(["not json", "[]", '{"a": 1}', '{"a": ""}', "null"])(
    "a damaged file is refused and not replaced: %s",
    async (text) => {
      writeFileSync(file, text, { mode: 0o600 });
      await expect(openSecretStore(file)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      expect(readFileSync(file, "utf8")).toBe(text);
    },
  );

  it("a file that other users can read, and a symbolic link, are refused", async () => {
    writeFileSync(file, "{}");
    chmodSync(file, 0o644);
    await expect(openSecretStore(file)).rejects.toThrow(/0600/);
    rmSync(file);
    writeFileSync(join(folder, "elsewhere"), "{}", { mode: 0o600 });
    symlinkSync(join(folder, "elsewhere"), file);
    await expect(openSecretStore(file)).rejects.toThrow(/regular file/);
  });

  it("generate fails with STORAGE_FAILED and keeps no secret when the folder does not exist", async () => {
    const store = await openSecretStore(join(folder, "absent", "secrets.json"));
    await expect(store.generate("a")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(store.values()).toEqual([]);
  });

  it.each(["", "../x", "__proto__", "a b", "x".repeat(129)])("generate refuses the name %j", async (name) => {
    const store = await openSecretStore(file);
    await expect(store.generate(name)).rejects.toMatchObject({ code: "INVALID_STACK" });
    expect(readdirSync(folder)).toEqual([]);
  });
});
