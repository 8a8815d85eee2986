import { describe, expect, it } from "vitest";
import { hostNames } from "../../../../src/runtimes/local/addresses/host-names.js";

describe("hostNames", () => {
  it("a service name resolves only where an address of the stack accepts its container port", () => {
    const host = new Map([
      ["api:3000", 3000],
      ["db:5432", 41_000],
      ["other:80", 8080],
    ]);
    const text = hostNames(
      {
        services: () => ["web", "api", "db", "other", "worker"],
        ports: (name) =>
          new Map([
            ["api", [3000]],
            ["db", [5432]],
            ["other", [80]],
          ]).get(name) ?? [],
        hostPort: (name, port) => host.get(`${name}:${port}`),
        address: (name) => (name === "db" ? "127.64.1.2" : undefined),
      },
      "web",
    );
    expect(text).toContain("127.0.0.1 localhost web\n");
    expect(text).toContain("127.0.0.1 api\n");
    expect(text).toContain("127.64.1.2 db\n");
    expect(text).not.toContain("other");
    expect(text).not.toContain("worker");
  });
});
