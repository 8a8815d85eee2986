import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findAddress, socketOf, usualSockets } from "../../../../src/runtimes/docker/engine/address.js";

let home: string;
const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text);
};
const id = (name: string) => createHash("sha256").update(name).digest("hex");
const context = (name: string, host: string, more: object = {}): void =>
  put(
    `.docker/contexts/meta/${id(name)}/meta.json`,
    JSON.stringify({ Name: name, Endpoints: { docker: { Host: host, ...more } } }),
  );
const find = (env: NodeJS.ProcessEnv = {}, settings = {}, platform: NodeJS.Platform = "linux") =>
  findAddress({ settings, env, home, platform });

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "stackwarden-docker-address-"));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

it("the operator's setting precedes DOCKER_HOST, which precedes the current context", () => {
  context("colima", "unix:///colima.sock");
  context("other", "unix:///other.sock");
  put(".docker/config.json", JSON.stringify({ currentContext: "colima" }));
  expect(find()).toEqual({ host: "unix:///colima.sock", source: "context colima" });
  expect(find({ DOCKER_CONTEXT: "other" }).host).toBe("unix:///other.sock");
  expect(find({ DOCKER_HOST: "unix:///env.sock", DOCKER_CONTEXT: "other" })).toEqual({
    host: "unix:///env.sock",
    source: "DOCKER_HOST",
  });
  const env = { DOCKER_HOST: "unix:///env.sock" };
  expect(find(env, { context: "other" }).host).toBe("unix:///other.sock");
  expect(find(env, { host: "unix:///set.sock", context: "other" }).host).toBe("unix:///set.sock");
});

it("DOCKER_CONFIG names the configuration folder, and the context default is the usual socket", () => {
  put("elsewhere/config.json", JSON.stringify({ currentContext: "default" }));
  expect(find({ DOCKER_CONFIG: join(home, "elsewhere") }).source).toBe("default");
});

it("the certificates of a context and of DOCKER_CERT_PATH are read", () => {
  context("remote", "tcp://10.0.0.1:2376", { SkipTLSVerify: true });
  for (const name of ["ca", "cert", "key"]) {
    put(`.docker/contexts/tls/${id("remote")}/docker/${name}.pem`, `${name} of the context`);
    put(`certs/${name}.pem`, `${name} of the variable`);
  }
  const ofContext = find({ DOCKER_CONTEXT: "remote" });
  expect(ofContext.tls?.skipVerify).toBe(true);
  expect(ofContext.tls?.key?.toString()).toBe("key of the context");
  const env = { DOCKER_HOST: "tcp://10.0.0.1:2376", DOCKER_CERT_PATH: join(home, "certs") };
  expect(find({ ...env, DOCKER_TLS_VERIFY: "1" }).tls).toMatchObject({ skipVerify: false });
  expect(find(env).tls?.ca?.toString()).toBe("ca of the variable");
  expect(find({ DOCKER_HOST: "tcp://10.0.0.1:2375" }).tls).toBeUndefined();
  expect(socketOf(ofContext)).toBeNull();
});

it("the first existing socket of the usual ones is used", () => {
  const sockets = usualSockets({ XDG_RUNTIME_DIR: join(home, "run") }, home);
  expect(sockets).toContain(join(home, "run", "podman/podman.sock"));
  put(".colima/default/docker.sock", "");
  const found = find();
  // A machine with Docker has the first one.
  expect([`unix://${join(home, ".colima/default/docker.sock")}`, "unix:///var/run/docker.sock"]).toContain(found.host);
  expect(socketOf(found)).toMatch(/docker\.sock$/);
  expect(find({}, {}, "win32").host).toBe("npipe:////./pipe/docker_engine");
});

it("an invalid address and an unknown context are refused with the setting that names them", () => {
  const refused = (env: NodeJS.ProcessEnv, settings = {}) => {
    try {
      return find(env, settings).host;
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refused({ DOCKER_HOST: "what is this" })).toContain('DOCKER_HOST has the value "what is this"');
  expect(refused({ DOCKER_HOST: "10.0.0.1:2375" })).toBe("tcp://10.0.0.1:2375");
  expect(refused({ DOCKER_CONTEXT: "gone" })).toContain('DOCKER_CONTEXT names the Docker context "gone"');
  expect(refused({}, { context: "gone" })).toContain("docker_context names");
  put(".docker/config.json", "{ not json");
  expect(refused({})).toContain("config.json is not valid JSON");
});
