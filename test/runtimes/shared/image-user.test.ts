/** The user of a container, from the compose file and the image. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chooseUser, withOwnGroup } from "../../../src/runtimes/shared/image-user.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-build-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the user of a container", () => {
  const choose = (user: string | undefined, imageUser: string, image?: string, allowRoot = false) =>
    chooseUser(
      { name: "app", allowRoot, ...(user === undefined ? {} : { user }), ...(image === undefined ? {} : { image }) },
      imageUser,
    );

  it("the user comes from the compose file, the image or the image's usual name, else it is 1000", () => {
    expect(choose("70", "")).toEqual({ user: "70" });
    expect(choose("app:staff", "root")).toEqual({ user: "app:staff" });
    expect(choose(undefined, "nginx")).toEqual({ user: "nginx" });
    expect(choose(undefined, "", "docker.io/library/postgres:15-alpine")).toMatchObject({ user: "postgres" });
    expect(choose(undefined, "root", "redis:7@sha256:abc")).toMatchObject({ user: "redis" });
    const app = choose(undefined, "0:0", "ghcr.io/org/thing:1");
    expect(app).toEqual({ user: "1000:1000", note: expect.stringContaining("1000:1000") });
    expect(choose(undefined, "")).toMatchObject({ user: "1000:1000" });
    expect(choose(undefined, "", "registry:5000/a/postgres")).toMatchObject({ user: "postgres" });
  });

  it("a numeric user without a group gets the group of the same number", () => {
    expect(["1234", "65532", "1000:50", "app", "app:staff"].map(withOwnGroup)).toEqual([
      "1234:1234",
      "65532:65532",
      "1000:50",
      "app",
      "app:staff",
    ]);
  });

  it("root is refused in every spelling unless the server's configuration allows it", () => {
    for (const root of ["root", "0", "00", "root:root", "0:1000", ":0", " "])
      expect(() => choose(root, "")).toThrow(expect.objectContaining({ code: "POLICY_VIOLATION" }));
    expect(choose("0", "", undefined, true)).toEqual({ user: "0" });
    expect(choose(undefined, "", "postgres:15", true)).toEqual({ user: "root" });
    expect(choose(undefined, "0:0", undefined, true)).toEqual({ user: "0:0" });
  });
});
