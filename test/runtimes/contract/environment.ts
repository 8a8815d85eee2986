/** The environment, secrets and user of a service. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WAITS } from "./bench.js";
import { type Given, shared } from "./contract.js";

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

/** Values that are printed as hexadecimal digits show that a secret arrived and do not reveal it. */
const REPORTS = `
import os
for name, value in os.environb.items(): print("variable", name.hex(), value.hex())
print("file", open(os.environ["TOKEN_FILE"], "rb").read().hex())
print("user", os.getuid(), os.geteuid())
status = open("/proc/self/status").read()
print([line for line in status.split("\\n") if line.startswith(("CapEff", "CapPrm", "NoNewPrivs"))])
${WAITS}`;

const text = (hex: string | undefined): string => Buffer.from(hex ?? "", "hex").toString();

export function environmentTests(given: Given): void {
  describe("environment and user", () => {
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
      PASSWORD: SECRET,
      TOKEN_FILE: "/run/secrets/token",
    };
    const app = shared(given, async (bench) => {
      const service = bench.python("app", REPORTS, {
        environment,
        secretEnvironment: ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "PASSWORD"],
        secrets: [{ source: "token", target: "token" }],
      });
      process.env.CONTRACT_SERVER_ONLY = "the server's";
      try {
        const stack = await bench.open([service], { secrets: { token: SECRET }, secretValues: [SECRET] });
        const running = await bench.start(stack, service);
        const sink = bench.sink("app");
        await sink.shows("up");
        const variables = [...sink.text().matchAll(/^variable (\w+) (\w*)$/gm)];
        const seen = Object.fromEntries(variables.map(([, name, value]) => [text(name), text(value)]));
        return { running, sink, seen };
      } finally {
        delete process.env.CONTRACT_SERVER_ONLY;
      }
    });

    it("environment variables arrive unchanged, without those of the server", async () => {
      const { seen } = await app();
      // A runtime without a file system for each service gives the file another path.
      for (const [name, value] of Object.entries(environment))
        if (name !== "TOKEN_FILE") expect(seen[name], name).toBe(value);
      expect(seen).not.toHaveProperty("CONTRACT_SERVER_ONLY");
      expect(
        Object.keys(seen)
          .filter((name) => /^OTEL_|^TRACE|^BAGGAGE|^STACKWARDEN_OWN_/.test(name))
          .sort(),
      ).toEqual(["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]);
    });

    it("a service can read its secret file at the path in its variable", async () => {
      const { sink } = await app();
      expect(text(/^file (\w+)$/m.exec(sink.text())?.[1])).toBe(SECRET);
    });

    it("a service does not run as root, and the reported user is the actual one", async () => {
      const { running, sink } = await app();
      const { uid, name, enforcement } = running.user;
      expect(uid).not.toBeNull();
      if (process.getuid?.() === 0) expect(uid).not.toBe(0);
      expect(sink.text()).toContain(`user ${uid} ${uid}\n`);
      expect(name).not.toBe("");
      expect(enforcement.reason).not.toBe("");
    });

    it("a service has no_new_privs and, from a root server, no capabilities", async () => {
      const { sink } = await app();
      if (process.getuid?.() === 0) expect(sink.text()).toMatch(/CapPrm:\\t0{16}'.*CapEff:\\t0{16}'/);
      expect(sink.text()).toContain("NoNewPrivs:\\t1");
    });

    it("a secret reaches its service and is not in arguments, notes, notices or logs", async () => {
      const { bench, running, sink, seen } = await app();
      expect(seen.PASSWORD).toBe(SECRET);
      expect(commandLines()).not.toContain("top-s3cret");
      await running.stop({ graceMs: 10_000 });
      const reported = JSON.stringify([running.notes, bench.notices, bench.phases, sink.all]);
      expect(reported).not.toContain("top-s3cret");
    });
  });
}
