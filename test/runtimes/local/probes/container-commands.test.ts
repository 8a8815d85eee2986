import { describe, expect, it } from "vitest";
import { nativeTest } from "../../../../src/runtimes/local/probes/container-commands.js";
import { providerOf } from "../../../../src/runtimes/local/providers/provider-of.js";
import { service } from "../support/fixture.js";

const cmd = (...argv: string[]) => nativeTest({ kind: "cmd", argv }, null, "web");
const shell = (command: string) => nativeTest({ kind: "cmd-shell", command }, null, "web");
const http = (port: number, path: string) => ({ kind: "http", port, path, status: null });

describe("nativeTest", () => {
  it.each([
    [cmd("curl", "-f", "http://localhost:8000/health"), http(8000, "/health")],
    [cmd("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/"), http(3000, "/")],
    [cmd("/usr/bin/curl", "localhost/x?y=1"), http(80, "/x?y=1")],
    [cmd("curl", "http://web:81/"), http(81, "/")],
    [cmd("curl", "http://[::1]:82"), http(82, "/")],
    [shell("curl -f http://localhost:8000/health || exit 1"), http(8000, "/health")],
    [shell('curl -fs "http://0.0.0.0:8000/h?a=1&b=2" > /dev/null 2>&1'), http(8000, "/h?a=1&b=2")],
    [shell("NO_PROXY=* wget --spider http://localhost:1/"), http(1, "/")],
  ])("a curl or wget command becomes an HTTP check (case %#)", (result, expected) => {
    expect(result).toEqual(expected);
  });

  it.each([
    ["another host", cmd("curl", "http://example.com/")],
    ["https", cmd("curl", "https://localhost/")],
    ["an HTTP method", cmd("curl", "-X", "POST", "http://localhost/")],
    ["an HTTP header", cmd("curl", "-H", "A: b", "http://localhost/")],
    ["an HTTP body", cmd("wget", "--post-data", "x", "http://localhost/")],
    ["no address", cmd("curl", "--version")],
    ["an invalid port", cmd("curl", "http://localhost:99999/")],
    ["another program", cmd("python", "-c", "http://localhost:1/")],
    ["a pipe", shell("curl -s http://localhost:1/ | grep -q ready")],
    ["a second command", shell("curl -f http://localhost:1/ && test -f /tmp/ready")],
    ["an ignored result", shell("curl -f http://localhost:1/; true")],
    ["a variable in its address", shell('curl -f "http://localhost:$PORT/"')],
    ["an empty command", cmd()],
    ["a test that is no command", nativeTest({ kind: "tcp", port: 1 }, null, "web")],
  ])("a health check with %s is not replaced", (_what, result) => {
    expect(result).toBeNull();
  });

  it("a health command of a postgres or redis service becomes the provider's check", () => {
    expect(nativeTest({ kind: "cmd", argv: ["pg_isready"] }, "postgres", "db")).toEqual({ kind: "postgres" });
    expect(nativeTest({ kind: "cmd-shell", command: "redis-cli ping" }, "redis", "r")).toEqual({ kind: "redis" });
    expect(nativeTest({ kind: "none" }, "redis", "r")).toBeNull();
  });
});

describe("providerOf", () => {
  it("providerOf prefers the command, provider and build of the definition to the image name", () => {
    const local = { environment: {} };
    expect(providerOf(service("a", { image: "redis", local: { ...local, command: ["x"] } }))).toBeNull();
    expect(providerOf(service("a", { image: "own", local: { ...local, provider: "postgres" } }))).toBe("postgres");
    expect(providerOf(service("a", { image: "redis", local }))).toBe("redis");
    expect(providerOf(service("a", { image: "redis", build: { context: "/p", args: {} } }))).toBeNull();
    expect(providerOf(service("a"))).toBeNull();
  });
});
