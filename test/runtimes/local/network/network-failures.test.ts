import { closeSync, openSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { NetworkNamespace, type NetworkTools } from "../../../../src/runtimes/local/network/namespace.js";
import { findSandboxTools, firstFile } from "../../../../src/runtimes/local/process/find-sandbox.js";

const unshare = firstFile("unshare");
const canIsolate = process.getuid?.() === 0 && unshare !== null;

describe.runIf(process.platform === "linux")("a network that cannot be opened", () => {
  const open = (tools: Partial<NetworkTools>) =>
    NetworkNamespace.open({
      tools: { unshare: "/bin/false", nsenter: "/bin/false", pasta: "/bin/false", users: null, ...tools },
      watch: async () => {},
      unwatch: async () => {},
    });

  it("the error has the reason of the program that makes it", async () => {
    await expect(open({})).rejects.toThrow("unshare cannot make a network namespace: exit code 1");
    await expect(open({ unshare: "/nonexistent/unshare" })).rejects.toThrow(/namespace: spawn .* ENOENT$/);
    // It prints that it does not know the option.
    await expect(open({ unshare: "/bin/ls" })).rejects.toThrow(/namespace: (?!exit code)\S.*/);
  });

  it("a server that is not root enters its user namespaces first", async () => {
    const [outer, inner] = [openSync("/dev/null", "r"), openSync("/dev/null", "r")];
    try {
      const nsenter = "/nonexistent/nsenter";
      await expect(open({ users: { outer, inner }, nsenter })).rejects.toThrow(/nsenter ENOENT$/);
    } finally {
      for (const fd of [outer, inner]) closeSync(fd);
    }
  });

  it.runIf(canIsolate)("the error of pasta is its last line, or how it ended", async () => {
    const tools = { unshare: unshare ?? "" };
    await expect(open(tools)).rejects.toThrow("pasta cannot connect a network namespace: exit code 1");
    await expect(open({ ...tools, pasta: "/bin/ls" })).rejects.toThrow(
      /^pasta cannot connect a network namespace: (?!exit code)\S.*/,
    );
  });
});

describe("findSandboxTools", () => {
  it("without setpriv services have no namespaces", async () => {
    expect(await findSandboxTools(null)).toEqual({ reason: expect.stringMatching(/not installed|only Linux/) });
  });
});
