import { closeSync, readlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findSandboxTools } from "../../../../src/runtimes/local/process/find-sandbox.js";
import {
  inUserNamespace,
  openUserNamespaces,
  refusingSetting,
} from "../../../../src/runtimes/local/process/user-namespaces.js";

const programs = { unshare: "/usr/bin/unshare", nsenter: "/usr/bin/nsenter" };
const available = await openUserNamespaces(programs).then(
  ({ outer, inner }) => {
    closeSync(outer);
    closeSync(inner);
    return true;
  },
  () => false,
);

describe("user namespaces for services of an ordinary user", () => {
  it.skipIf(!available)("are two, and stay while their descriptors are open, without a process in them", async () => {
    const { outer, inner } = await openUserNamespaces(programs);
    try {
      const [own, ...both] = ["/proc/self/ns/user", `/proc/self/fd/${outer}`, `/proc/self/fd/${inner}`].map((path) =>
        readlinkSync(path),
      );
      expect(both).toEqual([expect.stringMatching(/^user:\[\d+\]$/), expect.stringMatching(/^user:\[\d+\]$/)]);
      expect(new Set([own, ...both]).size).toBe(3);
    } finally {
      closeSync(outer);
      closeSync(inner);
    }
  });

  it("say why there are none: the program's last line", async () => {
    await expect(openUserNamespaces({ ...programs, unshare: "/bin/false" })).rejects.toThrow("exit code 1");
    await expect(openUserNamespaces({ ...programs, unshare: "/nonexistent/unshare" })).rejects.toThrow("ENOENT");
  });

  it("name the setting of the kernel that refuses them", () => {
    const settings = (values: Record<string, string>) => (path: string) => values[path] ?? null;
    expect(refusingSetting(settings({}))).toBeNull();
    expect(refusingSetting(settings({ "/proc/sys/user/max_user_namespaces": "0\n" }))).toBe("user.max_user_namespaces");
    expect(refusingSetting(settings({ "/proc/sys/kernel/unprivileged_userns_clone": "0\n" }))).toBe(
      "kernel.unprivileged_userns_clone",
    );
    const ubuntu = { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n" };
    expect(refusingSetting(settings(ubuntu))).toBe("kernel.apparmor_restrict_unprivileged_userns");
    expect(
      refusingSetting(settings({ ...ubuntu, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0\n" })),
    ).toBeNull();
  });

  it("are entered by descriptor, with what else is entered", () => {
    expect(inUserNamespace("nsenter", 5, "--net=/x")).toEqual([
      "nsenter",
      "--user=/proc/self/fd/5",
      "--preserve-credentials",
      "--net=/x",
      "--",
    ]);
  });
});

it("without setpriv, services have no namespaces", async () => {
  expect(await findSandboxTools(null)).toMatchObject({ reason: expect.any(String) });
});
