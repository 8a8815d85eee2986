/** A running stack of four services behind the production HTTP server: real domain, real logs, scripted processes. */
import type { LogStream } from "../../../src/stack/logs/types.js";
import type { StackSettings } from "../../../src/stack/settings.js";
import { call, compose, Domain, service } from "../../support/domain.js";
import { httpFixture } from "../../support/http-fixture.js";

const LIMITS = "mem_limit: 512m\ncpus: 0.5\npids_limit: 64\n";

const SHOP = `${compose(
  service("postgres", `${LIMITS}ports: ["5432:5432"]\nvolumes: ["db-data:/var/lib/postgresql/data"]`),
  service("redis", LIMITS),
  service(
    "backend",
    `${LIMITS}ports: ["8000:8000"]\nenvironment: { MODE: test, SECRET_KEY: hush-hush-1 }\nx-commands: { migrate: [alembic, upgrade, head], test: [pytest] }\ndevelop: { watch: [{ path: ., action: restart }] }\ndepends_on: { postgres: { condition: service_healthy }, redis: { condition: service_healthy } }`,
  ),
  service("frontend", `${LIMITS}ports: ["3000:3000"]\ndepends_on: { backend: { condition: service_healthy } }`),
)}volumes: { db-data: {} }
`;

/** @param stopped names of further projects that do not run */
export async function shop({
  stopped = ["blog"],
  commands = "any",
}: {
  stopped?: readonly string[];
  commands?: StackSettings["commands"];
} = {}) {
  const domain = new Domain();
  domain.settings.commands = commands;
  domain.runtime.volumes.set("shop/db-data", 24 * 1_048_576);
  domain.project("shop", SHOP);
  for (const name of stopped) domain.project(name, compose(service("web")));
  const manager = domain.manager({
    projects: Object.fromEntries(stopped.map((name) => [name, { folder: `${domain.root}/${name}` }])),
  });
  const http = await httpFixture({ getManager: async () => manager, commands });
  return {
    domain,
    manager,
    http,
    start: () => manager.start({ project: "shop" }, call({ actor: "claude-code/2.1#a1b2" })),
    /** What a service prints. */
    print: (name: string, text: string, stream: LogStream = "stdout") =>
      domain.runtime.service(name).request.sink.write(stream, Buffer.from(`${text}\n`)),
    close: async () => {
      await http.close();
      await domain.close();
    },
  };
}

export type Shop = Awaited<ReturnType<typeof shop>>;
