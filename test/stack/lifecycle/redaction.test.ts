/** Redaction hides secrets and keeps names that a caller must use again. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { call, compose, Domain, eventsOf, service } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

it("redaction keeps service names and ordinary words that equal a password, and hides secrets", async () => {
  const stack = compose(
    service(
      "shopdb-init",
      'environment: { POSTGRES_PASSWORD: shopdb, SECRET_MANAGER: disabled, DATABASE_URL: "postgresql://u:hunter-42@db/shop" }',
    ),
    service("web", "environment: { ADMIN_PASSWORD: hunter-42, POSTGRES_DB: warehouse, DB_PASS: warehouse }"),
  ).replaceAll("start_period: 10s", "start_period: 500ms");
  domain.project("shop", `${stack}\nsecrets:\n  made: { x-generate: true }\n`);
  const manager = domain.manager();
  await manager.start({ project: "shop" }, call());
  const { made } = JSON.parse(readFileSync(join(domain.state, "projects/shop/secrets.json"), "utf8"));
  const output = `shopdb-init: disabled, warehouse, hunter-42, ${made}\n`;
  domain.runtime.scripts["shopdb-init"] = { prints: output, probe: () => output };
  const failed = await manager.restart({ project: "shop", service: "shopdb-init" }, call()).catch((error) => error);
  const report = JSON.stringify([failed, failed.message, failed.hint, failed.details]);
  expect(report).toContain("shopdb-init");
  expect(report).not.toContain("[redacted]-init");
  const { lines } = await manager.logs({ project: "shop", query: { services: ["shopdb-init"], tail: 10 } });
  expect(lines.map(({ text }) => text)).toContain("shopdb-init: disabled, warehouse, [redacted], [redacted]");
  const events = JSON.stringify(await eventsOf(manager, "shop"));
  expect(events).toContain("shopdb-init");
  expect(events).not.toContain(made);
  expect(events).not.toContain("hunter-42");
});

it("redaction hides a secret where the text of a check is cut", async () => {
  domain.project("shop", `${compose(service("web"))}\nsecrets:\n  made: { x-generate: true }\n`);
  const manager = domain.manager();
  await manager.start({ project: "shop" }, call());
  const { made } = JSON.parse(readFileSync(join(domain.state, "projects/shop/secrets.json"), "utf8"));
  for (const at of [200 - 20, 250 - 20, 500 - 20, 2000 - 20]) {
    domain.runtime.scripts.web = { probe: () => `${"x".repeat(at)}${made}` };
    const report = await manager.health({ project: "shop", fresh: true }, call());
    expect(JSON.stringify(report)).not.toContain(made.slice(0, 8));
  }
});
