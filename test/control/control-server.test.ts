/** The sockets of the control server. */
import { existsSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ControlServer, openControlServer } from "../../src/control/control-server.js";
import { controlSocket } from "../../src/control/socket-path.js";
import { call, compose, Domain, service } from "../support/domain.js";

let domain: Domain;
let server: ControlServer | undefined;
beforeEach(() => {
  domain = new Domain();
});
afterEach(async () => {
  await server?.close();
  await domain.close();
});

it("opens a socket for a project whose stack runs, and reads no definition for that", async () => {
  const projects: Record<string, { folder: string }> = {};
  for (const name of ["bar", "inn", "shop"]) projects[name] = { folder: domain.project(name, compose(service("web"))) };
  const read: string[] = [];
  const { loadStack } = domain;
  domain.loadStack = (request) => {
    read.push(request.projectId);
    return loadStack(request);
  };
  const manager = domain.manager({ projects });
  expect(manager.projects()).toEqual(["bar", "inn", "shop"]);
  server = openControlServer({
    stateDir: domain.state,
    manager,
    invoke: async () => undefined,
    logger: { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined },
    version: "1",
  });
  await server.settled();
  expect(server.projects).toEqual([]);
  expect(read).toEqual([]);

  await manager.start({ project: "shop" }, call());
  await server.settled();
  expect(server.projects).toEqual(["shop"]);
  expect(existsSync(controlSocket(domain.state, "shop"))).toBe(true);
  expect(read).toEqual(["shop"]);

  await manager.stop({ project: "shop" }, call());
  await server.settled();
  expect(server.projects).toEqual([]);
  expect(existsSync(controlSocket(domain.state, "shop"))).toBe(false);
});
