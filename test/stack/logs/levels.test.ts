/** Levels of lines in the formats of common programs. */
import { expect, test } from "vitest";
import { continues, levelOf } from "../../../src/stack/logs/levels.js";
import { foldSimilar, patternOf } from "../../../src/stack/logs/patterns.js";
import { processorClock } from "../../support/processor-time.js";

test.each([
  ['{"level":"error","msg":"x"}', "error"],
  ['{"level":50,"time":1,"msg":"pino"}', "error"],
  ['{"level":30,"msg":"error in the text only"}', "info"],
  ['{"severity":"WARNING","message":"x"}', "warning"],
  ['{"msg":"no level","error":null}', null],
  ['time=2026-01-31T12:00:00Z level=warn msg="disk"', "warning"],
  ["2026-01-31 12:00:00.000 UTC [12] LOG:  database system is ready to accept connections", "info"],
  ["2026-01-31 12:00:00.000 UTC [12] LOG:  could not receive data from client: error", "info"],
  ['2026-01-31 12:00:00.000 UTC [12] ERROR:  relation "users" does not exist at character 15', "error"],
  ['2026-01-31 12:00:00.000 UTC [12] FATAL:  database "x" does not exist', "fatal"],
  ["2026-01-31 12:00:00 UTC [12] DEBUG2:  x", "debug"],
  ["1:M 31 Jan 2026 12:00:00.123 * Ready to accept connections tcp", "info"],
  ["1:M 31 Jan 2026 12:00:00.123 # WARNING Memory overcommit must be enabled!", "warning"],
  ["1:M 31 Jan 2026 12:00:00.123 # Server initialized", "info"],
  ["1:M 31 Jan 2026 12:00:00.123 # Fatal error, can't open config file", "warning"],
  ["INFO:     Uvicorn running on http://127.0.0.1:8000", "info"],
  ['INFO:     127.0.0.1:5000 - "GET /boom HTTP/1.1" 500 Internal Server Error', "error"],
  ['127.0.0.1 - - [31/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 612', null],
  ['127.0.0.1 - - [30/Nov/2026 07:54:40] "OPTIONS * HTTP/1.0" 501 -', null],
  ['127.0.0.1 - - [30/Nov/2026 07:54:40] "OPTIONS /a HTTP/1.1" 501 -', "error"],
  ["ERROR:    Exception in ASGI application", "error"],
  ["2026-01-31 12:00:00,123 - app - WARNING - slow", "warning"],
  ["[2026-01-31 12:00:00 +0000] [7] [INFO] Booting worker", "info"],
  ["2026/01/31 12:00:00 [error] 12#12: *1 connect() failed", "error"],
  ["2026/01/31 12:00:00 [emerg] 1#1: host not found", "fatal"],
  ["12:00:00.123 [main] ERROR com.acme.App - failed", "error"],
  ["E0131 12:00:00.000000       1 main.go:7] failed", "error"],
  ["npm ERR! missing script: dev", "error"],
  ["error: unknown option", "error"],
  ["warning: unused variable", "warning"],
  ["Traceback (most recent call last):", "error"],
  ["ModuleNotFoundError: No module named 'fastapi'", "error"],
  ["sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) refused", "error"],
  ["TypeError: Cannot read properties of undefined", "error"],
  ["Error: Cannot find module './x'", "error"],
  ["Uncaught exception", "error"],
  ["panic: runtime error: index out of range", "fatal"],
  ["java.lang.IllegalStateException: closed", "error"],
  ["/srv/app/server.js:12", "error"],
  ["0 errors found, no warning", null],
  ["Compiled with errors fixed", null],
  ["Information about the catalogue", null],
  ["listening on 3000", null],
  ["GET /error 200 3ms", null],
  ["GET /orders/7 500 12ms", "error"],
  ["took 500 ms for GET /orders", null],
  [`${"x".repeat(5000)} ERROR`, null],
])("the level of %j is %j", (line, level) => {
  expect(levelOf(line)).toBe(level);
});

test.each([
  ["    at Module._load (node:internal:1)", true],
  ['  File "app.py", line 1, in <module>', true],
  ["", true],
  ["}", true],
  ["Caused by: java.io.IOException", true],
  ["2026-01-31 12:00:00.000 UTC [12] DETAIL:  Key (id)=(1) already exists.", true],
  ["2026-01-31 12:00:00.000 UTC [12] STATEMENT:  select 1", true],
  ["INFO ready", false],
  ["ValueError: x", false],
])("%j continues the line before it: %j", (line, yes) => {
  expect(continues(line)).toBe(yes);
});

test.each([
  ["job 17 done in 3.5ms", "job 18 done in 12.75ms", true],
  ["user 550e8400-e29b-41d4-a716-446655440000 in", "user 6ba7b810-9dad-11d1-80b4-00c04fd430c8 in", true],
  ["commit deadbeef1 pushed", "commit 0123456789abc pushed", true],
  ["at 0x7ffe1234", "at 0x55aa", true],
  ["2026-01-31T12:00:00.000Z tick", "2026-01-31T12:00:01.123Z tick", true],
  ["GET /a/1 200", "GET /a/2 200", true],
  ["GET /a/1 200", "GET /a/1 500", false],
  ["took 200 ms", "took 350 ms", true],
  ["took 200ms", "took 350ms", true],
  ["connected to db", "connected to cache", false],
])("%j and %j have the same pattern: %j", (one, other, same) => {
  expect(patternOf(one) === patternOf(other)).toBe(same);
});

test("levels and patterns of long hostile lines are found within two seconds of processor time", () => {
  const elapsed = processorClock();
  for (const part of ["a1", "1.", "[", "x=", '"level":', " ERROR", "0", "f", "1,"]) {
    const line = part.repeat(4000);
    levelOf(line);
    continues(line);
    patternOf(line);
  }
  expect(elapsed()).toBeLessThan(2000);
});

test("similar lines are represented by the newest, with their number; stack frames keep their position", () => {
  const pairs = Array.from({ length: 4 }, (_, n) => [`FATAL: try ${n} failed`, `DETAIL: line ${n}5`]).flat();
  expect(foldSimilar(["started", ...pairs, "    at 1", "    at 2", "    at 3", "a 1", "a 2"])).toEqual([
    ...["started", "FATAL: try 3 failed [4 similar]", "DETAIL: line 35 [4 similar]"],
    ...["    at 1", "    at 2", "    at 3", "a 1", "a 2"],
  ]);
});
