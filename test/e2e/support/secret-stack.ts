/** A project with secrets of every kind, whose services print them wherever they can. */
import { randomBytes } from "node:crypto";

/** Long, and with characters that URLs, JSON and base64 encode. */
const secret = (): string => `${randomBytes(5).toString("hex")}/%+"${randomBytes(6).toString("hex")}`;
const plain = (): string => randomBytes(12).toString("hex");

/** Prints every secret that it receives. */
const APP = `
import base64, os, signal, sys, threading, time, urllib.parse
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for name in ("API_TOKEN", "DATABASE_URL", "CACHE_URL", "SESSION", "MAIL_PASSWORD"):
    print("app says", name, "is", os.environ[name])
    sys.stderr.write("complaint about " + os.environ[name] + "\\\\n")
for path in [*sorted("/run/secrets/" + name for name in os.listdir("/run/secrets")), "/vault/bound.txt"]:
    print("app reads", path, open(path).read().strip(), oct(os.stat(path).st_mode))
echo = os.environ["ECHO_TOKEN"]
print("app encodes", base64.b64encode(("user:" + echo).encode()).decode(), urllib.parse.quote(echo, safe=""), repr({"at": echo}))
print("app finds", *sorted(os.path.join(top, one) for top, _, files in os.walk("/src") for one in files))
print("app marks", os.environ["MARK"])
print("app is up", flush=True)
while True: time.sleep(0.05)
`;

/** Was installed with settings that contain a credential, of which nothing may remain. */
const PAGE = `
const fs = require("node:fs");
const size = (path) => (fs.existsSync(path) ? fs.statSync(path).size : -1);
console.log("page has settings of", size("/page/.npmrc"), size("/.stackwarden/deps/.npmrc"));
setInterval(() => {}, 1000);
process.on("SIGTERM", () => process.exit(0));
`;

export interface SecretStack {
  files: Record<string, string>;
  /** By name. None of them may appear anywhere. */
  secrets: Record<string, string>;
  /** Printed by the service in an encoding of its choice, which the engine cannot recognise. */
  echo: string;
  /** Not a secret: it must be found wherever secrets are searched for, which shows that the search works. */
  mark: string;
}

export function secretStack(): SecretStack {
  const secrets = {
    variable: secret(),
    dotenv: plain(),
    cache: plain(),
    envFile: secret(),
    secretFile: secret(),
    boundFile: secret(),
    registry: plain(),
  };
  const echo = secret();
  const mark = `mark-${plain()}`;
  const dotenv = [`CACHE_PASSWORD=${secrets.cache}`, `SESSION_SECRET=${secrets.dotenv}`, "NAMED=harmless", ""].join(
    "\n",
  );
  const check = (test: string): string =>
    `{ test: ${test}, interval: 10s, timeout: 5s, retries: 5, start_period: 60s, start_interval: 200ms }`;
  const compose = `
services:
  db:
    image: postgres:15-alpine
    user: "70"
    environment: { POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "\${DB_PASSWORD}" }
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: { test: [CMD, pg_isready, -U, app], interval: 10s, timeout: 5s, retries: 5, start_period: 60s, start_interval: 200ms, x-probe: { type: postgres } }
  cache:
    image: redis:7-alpine
    user: "999"
    command: [redis-server, --requirepass, "\${CACHE_PASSWORD}"]
    healthcheck: ${check(`[CMD-SHELL, "redis-cli -a '\${CACHE_PASSWORD}' ping | grep -q PONG"]`)}
  app:
    image: python:3.11-slim
    user: "1000:1000"
    environment:
      API_TOKEN: ${JSON.stringify(secrets.variable)}
      ECHO_TOKEN: ${JSON.stringify(echo)}
      SESSION: \${SESSION_SECRET}
      DATABASE_URL: postgresql://app:\${DB_PASSWORD}@db:5432/app
      CACHE_URL: redis://:\${CACHE_PASSWORD}@cache:6379/0
      MARK: ${mark}
    env_file: mail.env
    secrets: [from-file, { source: db-password, target: database }]
    ports: ["8080"]
    volumes: ["./:/src", "./private/bound.txt:/vault/bound.txt"]
    command: [python3, -u, -c, ${JSON.stringify(APP)}]
    healthcheck: ${check("[CMD, python3, -c, pass]")}
    depends_on: { db: { condition: service_healthy }, cache: { condition: service_healthy } }
  page:
    image: node:20-alpine
    user: "1000:1000"
    working_dir: /page
    volumes: ["./page:/page"]
    command: [node, -e, ${JSON.stringify(PAGE)}]
    healthcheck: ${check("[CMD, node, --version]")}
    x-local: { install: { kind: node, manifest: page/package.json }, command: [node] }
volumes: { data: {} }
secrets:
  db-password: { environment: DB_PASSWORD, x-generate: true }
  from-file: { file: ./private/from-file.txt }
  bound: { file: ./private/bound.txt }
`;
  return {
    secrets,
    echo,
    mark,
    files: {
      "compose.yaml": compose,
      ".env": dotenv,
      "mail.env": `MAIL_PASSWORD='${secrets.envFile}'\nMAIL_HOST=mail.example\n`,
      "private/from-file.txt": `${secrets.secretFile}\n`,
      "private/bound.txt": `${secrets.boundFile}\n`,
      // Nothing listens there, and npm continues without optional packages.
      "page/package.json": JSON.stringify({
        name: "page",
        version: "1.0.0",
        optionalDependencies: { missing: "http://127.0.0.1:1/missing.tgz" },
      }),
      "page/.npmrc": `fetch-retries=0\n//127.0.0.1:1/:_authToken=${secrets.registry}\n`,
      "readme.txt": "nothing secret\n",
    },
  };
}
