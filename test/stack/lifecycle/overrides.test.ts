/** Ports and limits that calls set in place of the compose file's, and the ports that a check announces. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";

let domain: Domain;
let manager: SharedStackManager;
beforeEach(() => {
  domain = new Domain();
  manager = domain.manager();
});
afterEach(() => domain.close());

const web = (port: string, more = "") => service("web", `ports: ["${port}"]\n${more}`);
const write = (...services: string[]) => domain.project("shop", compose(...services));
const start = (fields: object = {}) => manager.start({ project: "shop", ...fields }, call());
const check = () => manager.check({ project: "shop" });
const portsOf = async () => {
  const { services } = await manager.report("shop");
  return Object.values(services).flatMap(({ endpoints }) => endpoints.map(({ host_port }) => host_port));
};
const checkedPorts = async () =>
  (await check()).services.flatMap(({ ports }) => ports.map(({ host_port }) => host_port));
const limits = () => domain.runtime.service("web").limits;

describe("ports of a call", () => {
  it("a call's port applies to later starts until ports: {} or a change of the compose file", async () => {
    write(web("8080:80"), service("db", "ports: ['5432:5432']"));
    const first = await start({ ports: { web: 8081, db: 5555 } });
    const note = expect.stringContaining("host port 8081 of web (compose file: 8080)");
    expect(first.after.notes).toContainEqual(note);
    expect(await start()).toMatchObject({ status: "already_running" });
    expect((await check()).notes).toContainEqual(note);
    expect(await checkedPorts()).toEqual([8081, 5555]);
    // The edited file's port is newer than the call's.
    write(web("8090:80"), service("db", "ports: ['5432:5432']"));
    expect(await checkedPorts()).toEqual([8090, 5555]);
    expect((await check()).notes.join()).not.toContain("8081");
    const edited = await start();
    expect(edited.status).toBe("reconciled");
    expect(edited.message).toContain("web has the compose file's changed port, not 8081 of an earlier call");
    expect(await portsOf()).toEqual([8090, 5555]);
    write(web("8080:80"), service("db", "ports: ['5432:5432']"));
    await start();
    expect(await portsOf()).toEqual([8080, 5555]);
    const cleared = await start({ ports: {} });
    expect(cleared.status).toBe("reconciled");
    expect(await portsOf()).toEqual([8080, 5432]);
    expect(cleared.after.notes.join()).not.toContain("Set by calls");
  });

  it("a call's port does not prevent a start after its service was removed", async () => {
    write(web("8080:80"), service("db"));
    await start({ ports: { web: 8081 } });
    write(service("db"));
    expect((await start()).status).toBe("reconciled");
  });
});

describe("limits of a call", () => {
  it("a call's limit applies to later starts until 0 or a change of the compose file", async () => {
    write(web("8080:80", "mem_limit: 256m"));
    await start();
    const set = (change: object) => manager.setLimits({ project: "shop", service: "web", limits: change }, call());
    expect(await set({ memory_mb: 128, pids: 50 })).toMatchObject({ verified: true });
    const [note] = (await check()).notes;
    expect(note).toBe(
      "Set by calls: memory_mb 128 of web (compose file: 256); pids 50 of web (compose file: none). To return to the compose file: set_limits with the value 0.",
    );
    expect((await manager.report("shop")).notes).toContain(note);
    await manager.stop({ project: "shop" }, call());
    expect((await domain.manager().check({ project: "shop" })).notes).toContain(note);
    await start();
    expect(limits()).toEqual({ memory_mb: 128, pids: 50 });
    write(web("8080:80", "mem_limit: 512m"));
    const edited = await start();
    expect(edited.message).toContain(
      "limits of web changed, web has the compose file's changed memory_mb (512), not 128 of an earlier call",
    );
    expect(limits()).toEqual({ memory_mb: 512, pids: 50 });
    // The call's limit remains removed when the file returns to its former value.
    write(web("8080:80", "mem_limit: 256m"));
    await start();
    expect(limits()).toEqual({ memory_mb: 256, pids: 50 });
    expect(await set({ pids: null })).toMatchObject({ verified: true });
    expect(limits()).toEqual({ memory_mb: 256 });
    await start({ limits: { web: { memory_mb: 300 } } });
    await start({ limits: { web: { memory_mb: null } } });
    expect(limits()).toEqual({ memory_mb: 256 });
    expect((await check()).notes).toEqual([]);
  });
});

describe("limits that cannot be stored", () => {
  it("a start whose limits cannot be stored succeeds with a warning", async () => {
    write(web("8080:80"));
    // A directory in place of the file makes each write fail.
    const file = join(domain.state, "projects", "shop", "limits.json");
    mkdirSync(join(file, "x"), { recursive: true });
    const phrase = /the limits of this start were not stored for later starts \(.*EISDIR.*\)/;
    const first = await start({ limits: { web: { pids: 60 } } });
    expect(first).toMatchObject({ status: "healthy", verified: true, message: expect.stringMatching(phrase) });
    expect(limits()).toEqual({ pids: 60 });
    const changed = await start({ limits: { web: { pids: 70 } } });
    expect(changed).toMatchObject({ status: "reconciled", verified: true, message: expect.stringMatching(phrase) });
    expect(limits()).toEqual({ pids: 70 });
    expect(await eventsOf(manager, "shop", "stack_start_failed")).toEqual([]);
    expect((await eventsOf(manager, "shop", "warning")).map(({ message }) => message)).toEqual([
      expect.stringMatching(phrase),
      expect.stringMatching(phrase),
    ]);
  });
});

describe("check_stack: host ports", () => {
  it("a port that the stack's own start holds is not reported as in use", async () => {
    write(web("8080:80"));
    let check: ReturnType<typeof manager.check> | undefined;
    const { open, checkPorts } = domain.runtime;
    domain.runtime.open = async (request) => {
      // The runtime holds the ports before the stack is open.
      domain.runtime.busyPorts.add(8080);
      check = manager.check({ project: "shop" });
      await check;
      return open.call(domain.runtime, request);
    };
    await start();
    const expected = {
      startable: true,
      problems: [],
      services: [{ ports: [{ host_port: 8080 }] }],
      notes: ["The host ports were not checked, because the stack is starting and holds them."],
    };
    expect(await check).toMatchObject(expected);
    await manager.stop({ project: "shop" }, call());
    // A start that begins while the runtime checks the ports.
    let begun: ReturnType<typeof start> | undefined;
    domain.runtime.open = open;
    domain.runtime.scripts = { web: { startMs: 300 } };
    domain.runtime.checkPorts = async (request) => {
      begun = start();
      await until("the start is in progress", () => manager.running().some(({ state }) => state === "starting"));
      return checkPorts.call(domain.runtime, request);
    };
    expect(await manager.check({ project: "shop" })).toMatchObject(expected);
    expect((await begun)?.verified).toBe(true);
  });

  it("a port in use is reported with its owner, except those of the project's running stack", async () => {
    write(web("8080:80"));
    domain.runtime.busyPorts.add(8080);
    expect(await check()).toMatchObject({
      startable: false,
      problems: [
        {
          kind: "port",
          service: "web",
          path: "services.web.ports",
          message: expect.stringContaining("held by nginx (pid 4242)"),
          hint: expect.stringContaining('"web": 8081'),
        },
      ],
    });
    domain.runtime.busyPorts.clear();
    expect((await check()).startable).toBe(true);
    await start();
    domain.runtime.busyPorts.add(8080);
    expect(await check()).toMatchObject({
      startable: true,
      problems: [],
      services: [{ ports: [{ host_port: 8080 }] }],
    });
    write(web("9090:80"));
    domain.runtime.busyPorts.add(9090);
    expect((await check()).startable).toBe(false);
  });

  it("a check of a linked work tree announces the replacement of a port in use, and its start reports it", async () => {
    const folder = write(web("8080:80"), service("db", "ports: ['5432:5432']"));
    mkdirSync(join(domain.root, "main", ".git", "worktrees", "shop"), { recursive: true });
    writeFileSync(join(folder, ".git"), `gitdir: ${join(domain.root, "main", ".git", "worktrees", "shop")}\n`);
    domain.runtime.busyPorts.add(8080);
    const checked = await check();
    expect(checked.startable).toBe(true);
    // The resolved model has the ports of the file.
    expect((await manager.resolve({ project: "shop" })).model).toMatchObject({
      services: { web: { ports: [{ target: 80, published: "8080" }] } },
    });
    expect(checked.services.map(({ ports }) => ports[0]?.host_port)).toEqual([8081, 5432]);
    expect(checked.notes).toContain(
      'web: host port 8080 is in use; a start uses 8081 now, or the next free one. start_stack with ports {"web:80":8081} fixes it.',
    );
    const { after } = await start();
    const message =
      'web uses host port 8081: 8080, which the compose file names, was in use. start_stack with ports {"web:80":8081} fixes it.';
    expect(after.notes).toContain(message);
    expect(await eventsOf(manager, "shop", "port_reassigned")).toMatchObject([
      { service: "web", message, data: { from: 8080, to: 8081 } },
    ]);
    await start({ services: ["web"] });
    expect(await eventsOf(manager, "shop", "port_reassigned")).toHaveLength(1);
    rmSync(join(folder, ".git"));
  });
});
