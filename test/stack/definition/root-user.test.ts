import { describe, expect, it } from "vitest";
import { isRoot } from "../../../src/stack/definition/attributes/policy.js";
import { needsRoot } from "../../../src/stack/definition/root-images.js";

describe("isRoot", () => {
  it.each([
    "root",
    "root:root",
    "",
    ":0",
    "0",
    "00",
    "0:0",
    "+0",
    "-0",
    "0x0",
    "-0x0",
    "0b0",
    "0o0",
    "0.0",
    "0.4",
    "0e9",
    "4294967296",
    "8589934592:1",
    " 0 ",
  ])("the user %j is root", (user) => expect(isRoot(user)).toBe(true));

  it.each(["1000", "1000:0", "node", "nobody", "rootless", "1", "10", "0day", "_root", "x0", "4294967295"])(
    "the user %j is not root",
    (user) => expect(isRoot(user)).toBe(false),
  );
});

describe("needsRoot", () => {
  it.each([
    "lscr.io/linuxserver/plex:1",
    "ghcr.io/linuxserver/bookstack",
    "gitea/gitea:1.22",
    "gitlab/gitlab-ce",
    "docker:27-dind",
  ])("the image %s requires root", (image) => expect(needsRoot(image)).toBe(true));

  it.each(["gitea/gitea:1.22-rootless", "docker:27-cli", "postgres", "acme/linuxserver"])(
    "the image %s does not require root",
    (image) => expect(needsRoot(image)).toBe(false),
  );
});
