/** A service may have the name of a member of Object.prototype, and is operated like any other. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { invoke, operationNamed } from "../../../src/operations/index.js";
import { call, compose, Domain, service } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

it.each(["constructor", "toString", "hasOwnProperty", "valueOf"])(
  "%s is started, read, limited, restarted and stopped",
  async (name) => {
    domain.project("shop", compose(service(name, "ports: [8080]"), service("web", `depends_on: [${name}]`)));
    domain.runtime.scripts = { [name]: { prints: "a line" } };
    const manager = domain.manager();
    const run = async (operation: string, input: object): Promise<Record<string, unknown>> =>
      (await invoke(operationNamed(operation), { project: "shop", ...input }, async () => ({ manager, ...call() }), {
        readOnly: false,
      })) as Record<string, unknown>;
    const started = (await run("start_stack", {})) as { after: { services: Record<string, { state: string }> } };
    expect(Object.keys(started.after.services)).toEqual([name, "web"]);
    expect(started.after.services[name]?.state).toBe("healthy");
    expect((await run("get_logs", { service: name })).lines).toMatchObject([{ text: "a line" }]);
    expect(await run("health_status", {})).toMatchObject({ overall_healthy: true });
    await run("set_limits", { service: name, memory_mb: 256 });
    expect(Object.keys((await run("get_stats", { services: [name] })).services as object)).toEqual([name]);
    expect(await run("restart_service", { service: name })).toMatchObject({ service: name });
    expect((await run("diagnose", { service: name })).project).toBe("shop");
    await run("stop_stack", {});
  },
);
