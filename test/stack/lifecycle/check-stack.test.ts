/** check_stack, and starts and stops of selected services. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call, compose, Domain, service } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

describe("check_stack", () => {
  it("a check reports services, ports, files, runtime and notes, and starts and stores nothing", async () => {
    domain.project(
      "shop",
      compose(service("db", "ports: ['5432:5432']"), service("app", "depends_on: [db]\ntty: true")),
    );
    const check = await domain.manager().check({ project: "shop", folder: "shop" });
    expect(check).toMatchObject({ startable: true, runtime: "local", problems: [], without: [] });
    expect(check.files).toEqual([expect.stringContaining("compose.yaml")]);
    expect(check.services).toMatchObject([
      { service: "db", image: "example/db", ports: [{ container_port: 5432, host_port: 5432 }] },
      { service: "app", depends_on: ["db"] },
    ]);
    expect(check.notes).toEqual([expect.stringContaining("tty (app) has no effect on the local runtime")]);
    expect(domain.runtime.calls).toEqual([]);
    expect(existsSync(join(domain.state, "projects", "shop"))).toBe(false);
  });

  it("a check warns of hosts in URLs that are no service, and does not show the URLs", async () => {
    const environment = (url: string) => `environment: { DATABASE_URL: "${url}" }`;
    domain.project(
      "shop",
      compose(
        service("db"),
        service("app", environment("postgres://app:secret-word@dbb:5432/shop")),
        service("job", environment("postgres://app:secret-word@postgres/shop")),
      ),
    );
    const check = await domain.manager().check({ project: "shop", folder: "shop" });
    expect(check.startable).toBe(true);
    expect(check.notes).toEqual([
      "app: DATABASE_URL names the host dbb, which is not a service, an alias or an extra host of the compose files; did you mean db?",
      "job: DATABASE_URL names the host postgres, which is not a service, an alias or an extra host of the compose files; services are: db, app, job.",
    ]);
    expect(JSON.stringify(check)).not.toContain("secret-word");
  });

  it("a check lists the problems of all files, and the services that start without the faulty ones", async () => {
    domain.project(
      "shop",
      compose(service("proxy", "privileged: true"), service("bad", "cpus: x"), service("app", "depends_on: [proxy]")),
    );
    const check = await domain.manager().check({ project: "shop", folder: "shop" });
    expect(check.startable).toBe(false);
    expect(check.problems).toMatchObject([
      { kind: "policy", service: "proxy", line: expect.any(Number), path: "services.proxy.privileged" },
      { kind: "invalid", service: "bad", path: "services.bad.cpus" },
    ]);
    expect([...check.without].sort()).toEqual(["bad", "proxy"]);
    expect(check.services.map((one) => one.service)).toEqual(["app"]);
    expect(check.notes).toContain("app starts without proxy, on which it depends: proxy is left out.");
  });

  it("a check reports an unavailable runtime, and refuses unknown services and profiles", async () => {
    domain.project("shop", compose(service("app")));
    domain.runtime.available = false;
    const manager = domain.manager();
    const check = await manager.check({ project: "shop", folder: "shop" });
    expect(check).toMatchObject({ startable: false, runtime: null, problems: [{ kind: "runtime" }] });
    const refused = { project: "shop", folder: "shop", services: ["nope"] };
    await expect(manager.check(refused)).rejects.toMatchObject({ code: "UNKNOWN_SERVICE", hint: "Services: app." });
    const profiles = { project: "shop", folder: "shop", profiles: ["nope"] };
    await expect(manager.check(profiles)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("the resolved model has Compose's form and no secrets", async () => {
    domain.project(
      "shop",
      `${compose(service("app", 'environment: { DB_PASSWORD: hunter222, URL: "x://hunter222@db" }\nports: ["80"]'))}name: named\n`,
    );
    const { model } = await domain.manager().resolve({ project: "shop", folder: "shop" });
    expect(model).toMatchObject({
      name: "named",
      services: { app: { image: "example/app", ports: [{ target: 80, protocol: "tcp" }] } },
    });
    expect(JSON.stringify(model)).not.toContain("hunter222");
  });
});

describe("selected services", () => {
  const running = (): string[] => [...domain.runtime.alive].map((one) => one.service).sort();

  it("a start of selected services includes dependencies, and a stop leaves the others running", async () => {
    domain.project("shop", compose(service("db"), service("app", "depends_on: [db]"), service("extra")));
    const manager = domain.manager();
    await manager.start({ project: "shop", folder: "shop", services: ["app"] }, call());
    expect(running()).toEqual(["app", "db"]);
    await manager.start({ project: "shop", services: ["extra"] }, call());
    expect(running()).toEqual(["app", "db", "extra"]);
    const stopped = await manager.stop({ project: "shop", services: ["app"] }, call());
    expect(stopped).toMatchObject({ status: "stopped", verified: true });
    expect(stopped.message).toBe("Stopped: app. The other services keep running.");
    expect(running()).toEqual(["db", "extra"]);
    await manager.start({ project: "shop", services: ["app"] }, call());
    expect(running()).toEqual(["app", "db", "extra"]);
    await expect(manager.stop({ project: "shop", services: ["nope"] }, call())).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
    });
    const all = await manager.stop({ project: "shop", services: ["app", "db", "extra"] }, call());
    expect(all.after.state).toBe("stopped");
  });

  it("a stop of some services starts no other service, whatever the compose file says", async () => {
    const folder = domain.project(
      "shop",
      compose(service("db"), service("cache"), service("app", "depends_on: [db, cache]"), service("web")),
    );
    const manager = domain.manager();
    await manager.start({ project: "shop", folder: "shop", services: ["app"] }, call());
    expect(running()).toEqual(["app", "cache", "db"]);
    const starts = domain.runtime.started().length;
    writeFileSync(
      join(folder, "compose.yaml"),
      compose(service("db"), service("cache"), service("app", "depends_on: [new]\ncommand: [changed]"), service("new")),
    );
    const stopped = await manager.stop({ project: "shop", services: ["db"] }, call());
    expect(stopped).toMatchObject({ status: "stopped", verified: true });
    expect(stopped.after.notes).toContain("app starts without db, on which it depends: db is left out.");
    expect(running()).toEqual(["app", "cache"]);
    writeFileSync(join(folder, "compose.yaml"), "services: [");
    await manager.stop({ project: "shop", services: ["app"] }, call());
    expect(running()).toEqual(["cache"]);
    expect(domain.runtime.started().length).toBe(starts);
    domain.project("shop", compose(service("db"), service("cache"), service("app", "depends_on: [db, cache]")));
    await expect(manager.start({ project: "shop" }, call())).resolves.toMatchObject({
      message: expect.stringMatching(/ Left out: db, app; start_stack with services \["db","app"\] includes them\.$/),
    });
    // The stopped services start again when a call names them, and only they.
    await manager.start({ project: "shop", services: ["db"] }, call());
    expect(running()).toEqual(["cache", "db"]);
  });

  it("a service that a call both names and excludes is refused", async () => {
    domain.project("shop", compose(service("db"), service("app")));
    const manager = domain.manager();
    const request = { project: "shop", folder: "shop", services: ["db", "app"], without: ["app"] };
    const refused = { code: "INVALID_INPUT", message: "app is in services and in without." };
    await expect(manager.start(request, call())).rejects.toMatchObject(refused);
    await expect(manager.check(request)).rejects.toMatchObject(refused);
    expect(running()).toEqual([]);
  });

  it("a service that a call stopped can be deleted from the compose file, and a wrong name is still refused", async () => {
    const folder = domain.project("shop", compose(service("db"), service("cache"), service("web")));
    const manager = domain.manager();
    await manager.start({ project: "shop", folder: "shop" }, call());
    await manager.stop({ project: "shop", services: ["cache"] }, call());
    writeFileSync(join(folder, "compose.yaml"), compose(service("db"), service("web")));
    await manager.start({ project: "shop" }, call());
    expect(running()).toEqual(["db", "web"]);
    for (const wrong of [{ without: ["wbe"] }, { services: ["wbe"] }])
      await expect(manager.start({ project: "shop", ...wrong }, call())).rejects.toMatchObject({
        code: "UNKNOWN_SERVICE",
      });
  });

  it("a service whose published address another one uses does not stop alone", async () => {
    domain.project(
      "shop",
      compose(service("api", 'ports: ["80"]'), service("web", 'environment: { API: "{published:api:80}" }')),
    );
    const manager = domain.manager();
    await manager.start({ project: "shop", folder: "shop" }, call());
    await expect(manager.stop({ project: "shop", services: ["api"] }, call())).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: "web uses the address of api in API.",
    });
    expect(running()).toEqual(["api", "web"]);
  });

  it("a stack starts without a service that policy refuses", async () => {
    domain.project("shop", compose(service("proxy", "privileged: true"), service("app", "depends_on: [proxy]")));
    const manager = domain.manager();
    await expect(manager.start({ project: "shop", folder: "shop" }, call())).rejects.toMatchObject({
      code: "POLICY_VIOLATION",
    });
    const started = await manager.start({ project: "shop", folder: "shop", without: ["proxy"] }, call());
    expect(running()).toEqual(["app"]);
    expect(started.after.notes).toContain("app starts without proxy, on which it depends: proxy is left out.");
    expect(await manager.check({ project: "shop" })).toMatchObject({ left_out: ["proxy"] });
  });

  it("a start uses the compose files that the caller names", async () => {
    const folder = domain.project("shop", compose(service("app")));
    writeFileSync(join(folder, "dev.yaml"), compose(service("dev")));
    await domain.manager().start({ project: "shop", folder: "shop", files: ["dev.yaml"] }, call());
    expect(running()).toEqual(["dev"]);
  });
});
