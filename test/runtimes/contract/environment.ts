/** The environment, secrets and user of a service. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WAITS } from "./bench.js";
import type { Given } from "./contract.js";

const SECRET = 'top-s3cret-"quote\\back%space ä$HOME`id`';

const commandLines = (): string =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    })
    .join("\n");

export function environmentTests(given: Given): void {
  describe("environment and user", () => {
    it("environment variables arrive unchanged, without those of the server", async () => {
      const bench = given();
      process.env.CONTRACT_SERVER_ONLY = "the server's";
      const environment = {
        PLAIN: "value",
        EMPTY: "",
        SPACES: "  two  ",
        QUOTES: `it's "quoted" \\ and \`ticked\``,
        DOLLARS: ["$HOME", "$", "{PATH}", " $$ $(id)"].join(""),
        LINES: "one\ntwo\n",
        UNICODE: "Grüße 🌍",
        "with.dot": "dotted",
        EQUALS: "a=b=c",
        // Names that programs which start the service or transport its output may use.
        ...{ token: "the service's", name: "n", version: "7", code: "c", memory: "1g", words: "", service: "s" },
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: SECRET,
      };
      const program = `
import json, os
print(json.dumps(dict(os.environ)), flush=True)
`;
      const { running, sink } = await bench.run(
        bench.python("app", program, { environment, secretEnvironment: ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] }),
      );
      await running.exited;
      delete process.env.CONTRACT_SERVER_ONLY;
      const seen = JSON.parse(sink.text()) as Record<string, string>;
      for (const [name, value] of Object.entries(environment)) expect(seen[name], name).toBe(value);
      expect(seen).not.toHaveProperty("CONTRACT_SERVER_ONLY");
      expect(
        Object.keys(seen)
          .filter((name) => /^OTEL_|^TRACE|^BAGGAGE|^STACKWARDEN_OWN_/.test(name))
          .sort(),
      ).toEqual(["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]);
    });

    it("a secret reaches its service and is not in arguments, notes, notices or logs", async () => {
      const bench = given();
      const program = `
import hashlib, os, signal, sys, time
print(hashlib.sha256(os.environ["PASSWORD"].encode()).hexdigest(), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True: time.sleep(0.05)
`;
      const service = bench.python("app", program, {
        environment: { PASSWORD: SECRET },
        secretEnvironment: ["PASSWORD"],
      });
      const stack = await bench.open([service], { secretValues: [SECRET] });
      const running = await bench.start(stack, service);
      const { createHash } = await import("node:crypto");
      await bench.sink("app").shows(createHash("sha256").update(SECRET).digest("hex"));
      expect(commandLines()).not.toContain("top-s3cret");
      await running.stop({ graceMs: 10_000 });
      const reported = JSON.stringify([running.notes, bench.notices, bench.phases, bench.sink("app").all]);
      expect(reported).not.toContain("top-s3cret");
    });

    it("a service can read its secret file at the path in its variable", async () => {
      const bench = given();
      const program = `print(open(__import__("os").environ["TOKEN_FILE"]).read() == ${JSON.stringify(SECRET)})`;
      const service = bench.python("app", program, {
        environment: { TOKEN_FILE: "/run/secrets/token" },
        secrets: [{ source: "token", target: "token" }],
      });
      const stack = await bench.open([service], { secrets: { token: SECRET }, secretValues: [SECRET] });
      const running = await bench.start(stack, service);
      await running.exited;
      expect(bench.sink("app").all).toBe("True\n");
    });

    it("a service does not run as root, and the reported user is the actual one", async () => {
      const bench = given();
      const program = `import os\nprint(os.getuid(), os.geteuid(), flush=True)${WAITS}`;
      const { running, sink } = await bench.run(bench.python("app", program));
      await sink.shows("up");
      const { uid, name, enforcement } = running.user;
      expect(uid).not.toBeNull();
      if (process.getuid?.() === 0) expect(uid).not.toBe(0);
      expect(sink.text()).toContain(`${uid} ${uid}\n`);
      expect(name).not.toBe("");
      expect(enforcement.reason).not.toBe("");
    });

    it("a service has no_new_privs and, from a root server, no capabilities", async () => {
      const bench = given();
      const program = `
status = open("/proc/self/status").read()
print([line for line in status.split("\\n") if line.startswith(("CapEff", "CapPrm", "NoNewPrivs"))])
`;
      const { running, sink } = await bench.run(bench.python("app", program));
      await running.exited;
      if (process.getuid?.() === 0) expect(sink.text()).toMatch(/CapPrm:\\t0{16}'.*CapEff:\\t0{16}'/);
      expect(sink.text()).toContain("NoNewPrivs:\\t1");
    });
  });
}
