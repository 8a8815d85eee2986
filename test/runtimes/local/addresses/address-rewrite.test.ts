import { describe, expect, it } from "vitest";
import {
  type AddressBook,
  ownPlaceholders,
  rewriteContainerCommand,
  rewriteEnvironment,
  rewriteText,
} from "../../../../src/runtimes/local/addresses/address-rewrite.js";
import { service } from "../support/fixture.js";

/** service → container port → host port */
const PORTS: Record<string, Record<number, number>> = {
  db: { 5432: 15_432 },
  "my-db": { 5432: 25_432 },
  redis: { 6379: 16_379 },
  web: { 8000: 18_000, 9000: 19_000 },
  "a.b": { 80: 10_080 },
  worker: {},
};

const book: AddressBook = {
  services: () => Object.keys(PORTS),
  hostPort: (name, port) => PORTS[name]?.[port],
  ports: (name) => Object.keys(PORTS[name] ?? {}).map(Number),
};

const text = (value: string, of = "web") => rewriteText(value, of, book);

describe("rewriteText", () => {
  it.each([
    // other services, with a port
    ["db:5432", "127.0.0.1:15432"],
    ["postgresql://u:p@db:5432/x?y=db", "postgresql://u:p@127.0.0.1:15432/x?y=db"],
    ["db:5432,my-db:5432", "127.0.0.1:15432,127.0.0.1:25432"],
    ["redis://:pa@redis:6379/0", "redis://:pa@127.0.0.1:16379/0"],
    ["http://web:9000/", "http://127.0.0.1:19000/"],
    // a port that the service does not have, a longer port, a longer name
    ["db:5433", "db:5433"],
    ["db:54321", "db:54321"],
    ["my-db:5432", "127.0.0.1:25432"],
    ["x-db:5432 x.db:5432 xdb:5432", "x-db:5432 x.db:5432 xdb:5432"],
    ["a.b:80 axb:80", "127.0.0.1:10080 axb:80"],
    // URLs without a port
    ["postgresql+asyncpg://u@db/x", "postgresql+asyncpg://u@127.0.0.1:15432/x"],
    ["redis://redis", "redis://127.0.0.1:16379"],
    ["amqp://redis/", "amqp://127.0.0.1:16379/"],
    ["http://web/", "http://web/"],
    ["http://worker/", "http://worker/"],
    ["http://db.example/", "http://db.example/"],
    // placeholders of the service's own ports and of published ports
    ["{host}:{port}", "127.0.0.1:18000"],
    ["{port:9000} {port:1}", "19000 {port:1}"],
    ["http://{published:redis:6379}/{published:redis:1}", "http://127.0.0.1:16379/{published:redis:1}"],
    // no address
    ["postgres", "postgres"],
    ["db", "db"],
    ["", ""],
  ])("rewriteText(%j) returns %j", (value, expected) => {
    expect(text(value)).toBe(expected);
  });

  it("{port} of a service without ports stays unchanged", () => {
    expect(text("{port}", "worker")).toBe("{port}");
    expect(text("{port}", "absent")).toBe("{port}");
  });
});

describe("rewriteEnvironment", () => {
  const rewrite = (environment: Record<string, string>) => {
    const result = rewriteEnvironment(environment, "web", book);
    return { environment: { ...result.environment }, notes: result.notes };
  };

  it("a host variable without a port variable becomes the service's own loopback address", () => {
    const own = { ...book, address: (name: string) => (name === "db" ? `127.64.0.2` : undefined) };
    const { environment, notes } = rewriteEnvironment(
      { DB_HOST: "db", PGHOST: "my-db", X_HOST: "db", X_PORT: "5432" },
      "web",
      own,
    );
    expect({ ...environment }).toEqual({
      DB_HOST: "127.64.0.2",
      PGHOST: "127.0.0.1",
      PGPORT: "25432",
      X_HOST: "127.0.0.1",
      X_PORT: "15432",
    });
    expect(notes[0]).toBe("DB_HOST is 127.64.0.2, an address of this stack on which db accepts port 5432.");
  });

  it("a host variable becomes 127.0.0.1 and its port variable becomes the host port", () => {
    expect(rewrite({ DB_HOST: "db", DB_PORT: "5432", PGHOST: "my-db", PGPORT: "5432" })).toEqual({
      environment: { DB_HOST: "127.0.0.1", DB_PORT: "15432", PGHOST: "127.0.0.1", PGPORT: "25432" },
      notes: [],
    });
  });

  it("a missing port variable is added for a host variable, with a note", () => {
    expect(rewrite({ REDIS_HOSTNAME: "redis" })).toEqual({
      environment: { REDIS_HOSTNAME: "127.0.0.1", REDIS_PORT: "16379" },
      notes: ["REDIS_PORT=16379 was added: redis listens there on this runtime."],
    });
  });

  it("a variable that holds a service name is a host variable when NAME_PORT exists", () => {
    expect(rewrite({ CACHE: "redis", CACHE_PORT: "6379" }).environment).toEqual({
      CACHE: "127.0.0.1",
      CACHE_PORT: "16379",
    });
  });

  it("a variable keeps its value when only its name or only its value resembles a host variable", () => {
    const environment = { POSTGRES_USER: "db", MODE: "web", DB_HOST: "elsewhere", DB_PORT: "5432" };
    expect(rewrite(environment)).toEqual({ environment, notes: [] });
  });

  it("a port variable keeps a port that the service does not have", () => {
    expect(rewrite({ DB_HOST: "db", DB_PORT: "99" }).environment).toEqual({ DB_HOST: "127.0.0.1", DB_PORT: "99" });
    expect(rewrite({ JOB_HOST: "worker" }).environment).toEqual({ JOB_HOST: "127.0.0.1" });
  });

  it("a variable named __proto__ is rewritten like any other", () => {
    const { environment } = rewriteEnvironment(JSON.parse('{"__proto__": "db:5432"}'), "web", book);
    expect(Object.getOwnPropertyDescriptor(environment, "__proto__")?.value).toBe("127.0.0.1:15432");
  });
});

describe("rewriteContainerCommand", () => {
  const command = (...argv: string[]) => rewriteContainerCommand(argv, "web", book);

  it.each([
    [
      ["uvicorn", "app:app", "--host", "0.0.0.0", "--port", "8000"],
      ["uvicorn", "app:app", "--host", "127.0.0.1", "--port", "18000"],
    ],
    [
      ["x", "--host=::", "--http-port=9000", "-p", "8000"],
      ["x", "--host=127.0.0.1", "--http-port=19000", "-p", "18000"],
    ],
    [
      ["gunicorn", "-b", "0.0.0.0:8000"],
      ["gunicorn", "-b", "127.0.0.1:18000"],
    ],
    [
      ["x", "--bind=:9000", "--bind=[::]:8000"],
      ["x", "--bind=127.0.0.1:19000", "--bind=127.0.0.1:18000"],
    ],
    [
      ["x", "--port", "1234", "--port=1234"],
      ["x", "--port", "1234", "--port=1234"],
    ],
    [
      ["celery", "--broker", "redis://redis:6379/0"],
      ["celery", "--broker", "redis://127.0.0.1:16379/0"],
    ],
    [
      ["celery", "--broker=redis://redis:6379/0"],
      ["celery", "--broker=redis://127.0.0.1:16379/0"],
    ],
    [
      ["x", "8000", "localhost:7777"],
      ["x", "8000", "127.0.0.1:7777"],
    ],
    [
      ["x", "{host}", "--listen={port}"],
      ["x", "127.0.0.1", "--listen=18000"],
    ],
  ])("rewriteContainerCommand(%j) returns %j", (argv, expected) => {
    expect(command(...argv)).toEqual(expected);
  });
});

describe("ownPlaceholders", () => {
  it("ownPlaceholders finds ports in the command and in both environments", () => {
    const one = service("web", {
      environment: { A: "{port:9000}", B: "{port:123456}" },
      local: { command: ["x", "{port}"], environment: { C: "{port:1}-{port:2}" } },
    });
    expect(ownPlaceholders(one)).toEqual([0, 1, 2, 9000]);
    expect(ownPlaceholders(service("plain"))).toEqual([]);
  });
});
