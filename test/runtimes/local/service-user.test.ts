import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { serviceUser } from "../../../src/runtimes/local/service-user.js";
import { DirectHost } from "./support/direct-host.js";
import { service } from "./support/fixture.js";

/** A host whose services have namespaces. */
class NamespaceHost extends DirectHost {
  override sandboxEnforcement = () => ({ level: "enforced", reason: "test double" }) as const;
}

describe.runIf(process.getuid?.() === 0)("serviceUser on a root server", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stackwarden-user-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const app = service("web", { image: "node:20", command: ["node", "x"] });
  const at = (host: DirectHost, one = app) => serviceUser(host, { projectId: "test", folder }, one);

  it("an app service runs as the owner of the project's folder", async () => {
    chownSync(folder, 1234, 1235);
    expect(await at(new NamespaceHost())).toMatchObject({ uid: 1234, gid: 1235, mayWrite: true });
  });

  it("a database, a project owned by root and a host without namespaces get a separate user", async () => {
    expect((await at(new NamespaceHost())).uid).toBeGreaterThan(200_000);
    chownSync(folder, 1234, 1235);
    expect((await at(new DirectHost())).uid).toBeGreaterThan(200_000);
    expect((await at(new NamespaceHost(), service("db", { image: "postgres:15" }))).uid).toBeGreaterThan(200_000);
  });
});
