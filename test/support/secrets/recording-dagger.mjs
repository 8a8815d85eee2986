/**
 * A `dagger` in front of the real or the simulated one: hands everything on and writes down what goes over the wire.
 * Arguments: the program behind it, the folder of the record, then the program's own arguments.
 */
import { spawn } from "node:child_process";
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";

const [program, record, ...args] = process.argv.slice(2);
/** Written at once, so that a test never reads half of a file. */
const note = (name, text) => {
  const path = join(record, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
};
const session = args[0] === "session";
note(`cli-${process.pid}.json`, JSON.stringify({ args, environment: process.env }));

// Programs that it starts in turn must not use the recording programs.
const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== join(dirname(record), "bin"));
const child = spawn(program, args, {
  stdio: ["pipe", "pipe", "pipe"],
  env: { ...process.env, PATH: path.join(delimiter) },
});
process.stdin.pipe(child.stdin);
child.stdin.on("error", () => {});
child.stderr.on("data", (chunk) => {
  appendFileSync(join(record, `cli-${process.pid}.stderr`), chunk);
  process.stderr.write(chunk);
});
process.once("SIGTERM", () => child.kill("SIGTERM"));
child.once("close", (code) => process.exit(code ?? 1));

let exchanges = 0;

/** Forwards a request and records both bodies as they pass, also those of streams. */
function handOn(port, incoming, outgoing) {
  exchanges += 1;
  const name = `${process.pid}-${String(exchanges).padStart(5, "0")}`;
  const { method, url, headers } = incoming;
  const chunks = [];
  incoming.on("data", (chunk) => chunks.push(chunk));
  incoming.once("end", () => {
    const body = Buffer.concat(chunks);
    note(`${name}.request`, JSON.stringify({ method, url, headers, body: body.toString() }));
    const call = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.on("data", (chunk) => appendFileSync(join(record, `${name}.response`), chunk));
      answer.pipe(outgoing);
      answer.once("error", () => outgoing.destroy());
    });
    call.once("error", () => outgoing.destroy());
    outgoing.once("close", () => call.destroy());
    call.end(body);
  });
}

if (!session) child.stdout.pipe(process.stdout);
else
  createInterface({ input: child.stdout }).once("line", (line) => {
    const { port, session_token } = JSON.parse(line);
    const server = createServer((incoming, outgoing) => handOn(port, incoming, outgoing));
    server.requestTimeout = 0;
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      note("session.json", JSON.stringify({ port, token: session_token }));
      process.stdout.write(`${JSON.stringify({ port: server.address().port, session_token })}\n`);
    });
  });
