// The second part of the demonstration: an agent works on a feature in a linked git work tree, beside the repository's
// own stack. It runs a wrong migration, goes back to a snapshot, runs the right one, tests, edits code, sees that the
// running code is stale, finds an error, and leaves nothing behind.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** @param {number} port the fixed host port that both work trees ask for */
const COMPOSE = (port) => `services:
  db:
    image: postgres:15-alpine
    user: "70"
    environment:
      POSTGRES_USER: app
      POSTGRES_DB: app
      POSTGRES_PASSWORD: \${POSTGRES_PASSWORD}
    volumes: ["db-data:/var/lib/postgresql/data"]
    stop_signal: SIGINT
    healthcheck:
      { test: [CMD, pg_isready, -U, app], interval: 2s, start_period: 60s, start_interval: 500ms, x-probe: { type: postgres } }
  backend:
    build: .
    environment:
      DATABASE_URL: postgresql://app:\${POSTGRES_PASSWORD}@db:5432/app
    ports: ["${port}:8000"]
    depends_on: { db: { condition: service_healthy } }
    healthcheck:
      { test: [CMD, python, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health')"], interval: 2s, start_period: 60s, start_interval: 500ms, x-probe: { type: http, port: 8000, path: /health } }
    x-commands:
      seed: [python, manage.py, seed]
      migrate: [python, manage.py, migrate]
      test: [python, -m, unittest, -v, test_app]
    x-local:
      install: { kind: python, manifest: requirements.txt }
      command: [python, app.py]
volumes: { db-data: {} }
secrets:
  postgres-password: { environment: POSTGRES_PASSWORD, x-generate: true }
`;

const DOCKERFILE = `FROM python:3.12-slim
WORKDIR /app
ENV HOST=0.0.0.0 PORT=8000 PYTHONUNBUFFERED=1
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["python", "app.py"]
`;

const APP = (price) => `import json, logging, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from store import query

logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)


def price(item):
    return ${price}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 200, {"ok": True}
        try:
            if self.path == "/items":
                body = [{"name": row["name"], "price": price(row)} for row in query("SELECT * FROM items ORDER BY id")]
        except Exception:
            logging.exception("GET %s failed", self.path)
            status, body = 500, {"error": "internal"}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
    logging.info("listening on %s", server.server_address)
    server.serve_forever()
`;

const STORE = `import asyncio, os
import asyncpg


async def fetch(statement):
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        return [dict(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def query(statement):
    return asyncio.run(fetch(statement))
`;

const MANAGE = (migration) => `import sys
from store import query

SEED = ["CREATE TABLE items (id serial PRIMARY KEY, name text, amount text)",
        "INSERT INTO items (name, amount) VALUES ('tea', '3'), ('coffee', '4'), ('cocoa', '5')"]
MIGRATION = ${JSON.stringify(migration)}

for statement in {"seed": SEED, "migrate": MIGRATION}[sys.argv[1]]:
    query(statement)
print(sys.argv[1], "done:", query("SELECT count(*) AS items FROM items")[0]["items"], "items")
`;

const TEST = `import unittest
from store import query


class Items(unittest.TestCase):
    def test_amounts_are_numbers(self):
        self.assertEqual([row["amount"] for row in query("SELECT amount FROM items ORDER BY id")], [3, 4, 5])
`;

const WRONG = ["DELETE FROM items", "ALTER TABLE items ALTER COLUMN amount TYPE integer USING amount::integer"];
const RIGHT = [WRONG[1]];

const git = (folder, ...args) =>
  execFileSync("git", ["-c", "user.name=demo", "-c", "user.email=demo@example.com", "-C", folder, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });

/** A free port of this machine, so that demonstrations run side by side. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/**
 * @param {string} work an empty folder below an allowed root
 * @param {number} port
 */
function repository(work, port) {
  const main = join(work, "shop");
  mkdirSync(main);
  for (const [name, text] of Object.entries({
    "compose.yaml": COMPOSE(port),
    Dockerfile: DOCKERFILE,
    ".dockerignore": ".git\n",
    "requirements.txt": "asyncpg==0.32.0\n",
    "app.py": APP('row["amount"]'.replace("row", "item")),
    "store.py": STORE,
    "manage.py": MANAGE(WRONG),
    "test_app.py": TEST,
  }))
    writeFileSync(join(main, name), text);
  git(main, "init", "-q");
  git(main, "add", "-A");
  git(main, "commit", "-q", "-m", "The shop");
  const feature = join(work, "feature");
  git(main, "worktree", "add", "-q", feature);
  // Services of other users must be able to read it.
  for (const folder of [work, main, feature]) chmodSync(folder, 0o755);
  return { main, feature };
}

/**
 * @param {{ call: Function, step: Function, show: Function, expect: Function, work: string, state: string }} tools
 *   `work`: an empty folder below an allowed root; `state`: the server's state directory
 */
export async function worktrees({ call, step, show, expect, work, state }) {
  const { main, feature } = repository(work, await freePort());
  const shop = (name, input) => call(name, { project: "shop", ...input });
  const mine = (name, input) => call(name, { project: "shop-feature", ...input });
  const url = (report) => report.after.services.backend.endpoints[0].url;
  const items = async (base) => {
    const response = await fetch(`${base}/items`, { signal: AbortSignal.timeout(10_000) });
    return response.ok ? await response.json() : response.status;
  };
  // These tools have no brief and detailed answers.
  const plain = { detail: undefined };
  const command = async (name) => {
    const result = await mine("run_command", { ...plain, service: "backend", command: name, timeout_seconds: 120 });
    for (const line of `${result.stdout}${result.stderr}`.trim().split("\n")) show(`| ${line}`);
    return result;
  };

  step("Two git work trees of one repository: the stack of each has its own ports and a copy of the seeded data");
  const first = await shop("start_stack", { folder: main, timeout_seconds: 600 });
  const seeded = await shop("run_command", { ...plain, service: "backend", command: "seed" });
  expect(seeded.exit_code === 0, `run_command seed: ${seeded.stdout.trim()}`);
  const second = await mine("start_stack", { folder: feature, data_from: { project: "shop" }, timeout_seconds: 600 });
  expect(first.verified && second.verified && url(first) !== url(second), `${url(first)} and ${url(second)}`);
  expect((await items(url(second))).length === 3, "the feature's stack has the three seeded items");
  const { stacks } = await mine("list_stacks", {});
  expect(
    stacks[0].services.backend.commands.join() === "seed,migrate,test",
    "list_stacks names the commands that the compose file declares",
  );

  step("A migration, wrong: back to the snapshot");
  await mine("save_snapshot", { ...plain, name: "before-migration" });
  await command("migrate");
  expect((await items(url(second))).length === 0, "the migration deleted every item");
  expect((await items(url(first))).length === 3, "the other stack still has its items");
  await mine("stop_stack", { timeout_seconds: 60 });
  await mine("restore_snapshot", { ...plain, snapshot: "before-migration", confirm: true });
  const again = await mine("start_stack", { timeout_seconds: 600 });
  expect((await items(url(again))).length === 3, "the snapshot's items are back");

  step("The migration, right; tests in the backend's environment");
  writeFileSync(join(feature, "manage.py"), MANAGE(RIGHT));
  await mine("restart_service", { service: "backend", timeout_seconds: 120 });
  await command("migrate");
  const tested = await command("test");
  expect(tested.exit_code === 0 && (await items(url(again))).length === 3, "migrated, and the tests pass");

  step("Code is edited: stale, restarted");
  writeFileSync(join(feature, "app.py"), APP('item["amount"] * 100 / item["discount"]'));
  const { stale } = (await mine("health_status", { fresh: true })).services.backend;
  expect(stale?.fix === "restart_service", `stale: ${stale?.reason}`);
  await mine("restart_service", { service: "backend", timeout_seconds: 120 });
  const fresh = (await mine("health_status", { fresh: true })).services.backend;
  expect(fresh.healthy && fresh.stale === undefined, "healthy with the new code, and no longer stale");

  step("An error, found with only: errors");
  expect((await items(url(again))) === 500, "GET /items answers 500");
  await mine("get_logs", { service: "backend", wait_for: "KeyError", wait_seconds: 20 });
  const errors = await mine("get_logs", { service: "backend", only: "errors", since: "10m" });
  const text = errors.lines.map((line) => line.text).join("\n");
  for (const line of text.split("\n").slice(-3)) show(`| ${line}`);
  expect(text.includes("KeyError: 'discount'"), "the traceback names the cause");
  writeFileSync(join(feature, "app.py"), APP('item["amount"] * 100'));
  await mine("restart_service", { service: "backend", timeout_seconds: 120 });
  expect((await items(url(again)))[0].price === 300, "corrected: GET /items answers with prices");

  step("Both stacks end; nothing is left");
  const used = [first, again].map(url);
  git(main, "worktree", "remove", "--force", feature);
  const listed = (await call("list_stacks", { project: undefined })).stacks;
  const orphan = listed.find((stack) => stack.project === "shop-feature");
  expect(orphan?.folder_missing === true, "the stack of the removed work tree is marked");
  for (const stop of [mine, shop]) {
    const { forgotten, message } = await stop("stop_stack", { forget: true, confirm: true, timeout_seconds: 120 });
    expect(forgotten === true, message);
  }
  for (const base of used)
    expect(
      await items(base).then(
        () => false,
        () => true,
      ),
      `nothing listens at ${base}`,
    );
  const left = existsSync(join(state, "projects")) ? readdirSync(join(state, "projects")) : [];
  expect(
    !left.includes("shop") && !left.includes("shop-feature"),
    "no data, snapshot, dependency or record of them is left",
  );
}
