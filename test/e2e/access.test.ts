/** `url`, `env` and `connect` print addresses and credentials, and no password into a pipe. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Commands } from "../support/commands.js";
import { TestBench } from "./support/bench.js";

const APP = `require("node:http").createServer((_, answer) => answer.end("ok")).listen(process.env.PORT, "127.0.0.1");`;
const PASSWORD = "quite-Secret-77x";
const COMPOSE = `services:
  db:
    image: postgres:15-alpine
    ports: [":5432"]
    environment: { POSTGRES_USER: shopper, POSTGRES_DB: orders, POSTGRES_PASSWORD: "${PASSWORD}" }
  web:
    image: node:20
    ports: [":3000"]
    environment: { MODE: "two words", SESSION_SECRET: "a-Session-Secret-9", DATABASE_URL: "postgres://shopper:${PASSWORD}@db:5432/orders" }
    x-local: { command: ["node", "app.js"] }
`;

describe("url, env and connect", () => {
  const bench = new TestBench();
  let folder: string;
  const commands = new Commands();
  const run = (...args: string[]) => {
    const env = bench.commandEnvironment();
    return commands.run(args, { cwd: folder, env });
  };

  beforeAll(async () => {
    await bench.withPostgres();
    folder = bench.project("shop", { "compose.yaml": COMPOSE, "app.js": APP });
    expect((await run("url")).code).toBe(3);
    expect(await run("up", "-d")).toMatchObject({ code: 0 });
  }, 180_000);
  afterAll(async () => {
    await run("down");
    await run("server", "stop", "--force");
    await commands.close();
    await bench.close();
  });

  it("url prints the address of a service that answers, and with --json of all services", async () => {
    const { stdout } = await run("url", "web");
    expect(stdout).toMatch(/^http:\/\/127\.[\d.]+:\d+\n$/);
    expect(await (await fetch(stdout.trim())).text()).toBe("ok");
    const all = JSON.parse((await run("url", "--json")).stdout);
    expect(all.map(({ service }: { service: string }) => service)).toEqual(["db", "web"]);
    expect(await run("url", "nope")).toMatchObject({ code: 1, stderr: expect.stringContaining("Services: db, web.") });
  });

  it("env hides secrets outside a terminal", async () => {
    const { stdout, stderr } = await run("env", "web");
    expect(stdout).toContain("MODE='two words'\n");
    expect(stdout).toMatch(/SESSION_SECRET='\[hidden/);
    expect(stdout).toMatch(/DATABASE_URL='\[hidden/);
    expect(stdout + stderr).not.toMatch(/quite-Secret|Session-Secret/);
    expect((await run("env", "web", "--json")).stdout).not.toMatch(/quite-Secret|Session-Secret/);
  });

  it("connect prints a connection URL without the password outside a terminal", async () => {
    const { code, stdout, stderr } = await run("connect", "db");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^postgresql:\/\/shopper@127\.[\d.]+:\d+\/orders\n$/);
    expect(stderr).toContain("password is left out");
    expect(await run("connect", "web")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("neither PostgreSQL nor Redis"),
    });
  });
});
