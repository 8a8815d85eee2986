import { afterEach, describe, expect, it } from "vitest";
import { ServiceAddresses } from "../../../../src/runtimes/local/addresses/service-addresses.js";
import { MACHINE_LOOPBACK } from "../../../../src/runtimes/local/network/loopback.js";
import { Networks } from "../../../../src/runtimes/local/network/networks.js";
import { NamespacePorts } from "../../../../src/runtimes/local/network/stack-ports.js";
import { firstFile } from "../../../../src/runtimes/local/process/find-sandbox.js";
import type { PortMapping } from "../../../../src/stack/definition/types.js";
import { freePort } from "../../contract/bench.js";
import { definition, service } from "../support/fixture.js";

const canIsolate =
  process.getuid?.() === 0 && ["unshare", "nsenter", "pasta"].every((name) => firstFile(name) !== null);

/** Records the addresses that are listened on. */
function loopback(taken: readonly string[] = []) {
  const open = new Map<string, () => number | undefined>();
  return {
    open,
    ...MACHINE_LOOPBACK,
    shared: false,
    forward: async (host: string, port: number, to: () => number | undefined) => {
      const key = `${host}:${port}`;
      if (taken.includes(key)) return null;
      open.set(key, to);
      return { close: async () => void open.delete(key) };
    },
  };
}

describe("NamespacePorts", () => {
  const ports: NamespacePorts[] = [];
  afterEach(async () => {
    for (const one of ports.splice(0)) await one.close();
  });
  const open = (place = loopback()) => {
    const one = new NamespacePorts("test", place, () => {});
    ports.push(one);
    return { one, place };
  };
  const published = (containerPort: number, hostPort: number): PortMapping[] => [
    { containerPort, hostPort, protocol: "tcp" },
  ];

  it("services listen on their container ports, unless another service of the stack has the same one", async () => {
    const { one } = open();
    const web = service("web", { expose: [3000] });
    const api = service("api", { expose: [3000, 20_000] });
    await one.apply(definition([web, api]));
    expect(one.services()).toEqual(["web", "api"]);
    expect(one.ports("api")).toEqual([3000, 20_000]);
    expect(one.ports("absent")).toEqual([]);
    expect(one.hostPort("web", 3000)).toBe(3000);
    // 20000 is the container port of a service.
    expect([one.hostPort("api", 3000), one.hostPort("api", 20_000)]).toEqual([20_001, 20_000]);
    // What a service has already is not given to another.
    await one.apply(definition([service("first", { expose: [20_001] }), api, web]));
    expect(one.hostPort("api", 3000)).toBe(20_001);
    expect(one.hostPort("first", 20_001)).toBe(20_002);
  });

  it("a published port that services name leads to the same service inside, until it changes", async () => {
    const { one, place } = open();
    const [first, second] = [await freePort(), await freePort()];
    const web = (hostPort: number) =>
      service("web", { ports: published(80, hostPort), environment: { URL: "http://localhost:{published:web:80}" } });
    await one.apply(definition([web(first)]));
    expect(one.endpoints()).toMatchObject([{ service: "web", container_port: 80, host_port: first }]);
    expect([...place.open.keys()]).toEqual([`127.0.0.1:${first}`]);
    expect(place.open.get(`127.0.0.1:${first}`)?.()).toBe(80);
    await one.apply(definition([web(first)]));
    expect([...place.open.keys()]).toEqual([`127.0.0.1:${first}`]);
    await one.apply(definition([web(second)]));
    expect([...place.open.keys()]).toEqual([`127.0.0.1:${second}`]);
    expect(one.publishedPort("web", 80)).toBe(second);
  });

  it("a published port on which something listens inside is left alone", async () => {
    const port = await freePort();
    const { one, place } = open(loopback([`127.0.0.1:${port}`]));
    const web = service("web", { ports: published(80, port), environment: { URL: "{published:web:80}" } });
    await one.apply(definition([web]));
    expect(place.open.size).toBe(0);
    const own = service("own", { expose: [port] });
    await one.apply(definition([web, own]));
    expect(place.open.size).toBe(0);
    expect([await one.secure(), await one.taken()]).toEqual([[], []]);
  });
});

describe.runIf(process.platform === "linux")("ServiceAddresses", () => {
  const moved = (name: string) => ({ service: name, containerPort: 5432 });

  it("a moved port has an address of the stack, which follows the service's port", async () => {
    const place = loopback();
    let port: number | undefined = 41_000;
    const addresses = new ServiceAddresses("service-addresses-test", () => port, place);
    expect(addresses.of("db", 5432)).toBeUndefined();
    await addresses.provide([moved("db"), moved("other")]);
    const address = addresses.of("db", 5432) ?? "";
    expect(address).toMatch(/^127\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\.\d+\.2$/);
    expect(addresses.of("other", 5432)).toBe(address.replace(/\.2$/, ".3"));
    expect(place.open.get(`${address}:5432`)?.()).toBe(41_000);
    await addresses.provide([moved("db")]);
    port = 41_001;
    await addresses.provide([moved("db")]);
    expect(addresses.of("db", 5432)).toBe(address);
    expect(place.open.get(`${address}:5432`)?.()).toBe(41_001);
    await addresses.close();
    expect(place.open.size).toBe(0);
    await addresses.provide([moved("db")]);
    expect(addresses.of("db", 5432)).toBeUndefined();
  });

  it("a stack whose network another stack has gets the next one, and a taken port goes without an address", async () => {
    const first = new ServiceAddresses("service-addresses-same", () => 41_000, loopback());
    const second = new ServiceAddresses("service-addresses-same", () => 41_000, loopback());
    await first.provide([moved("db")]);
    await second.provide([moved("db")]);
    const [one, two] = [first.of("db", 5432) ?? "", second.of("db", 5432) ?? ""];
    expect(two).not.toBe(one);
    const full = new ServiceAddresses("service-addresses-same", () => 41_000, {
      ...loopback(),
      forward: async () => null,
    });
    await full.provide([moved("db")]);
    expect(full.of("db", 5432)).toBeUndefined();
    for (const each of [first, second, full]) await each.close();
  });

  it("a stack of more services than a network has addresses leaves the others without", async () => {
    const many = Array.from({ length: 255 }, (_, at) => moved(`s${at}`));
    const addresses = new ServiceAddresses("service-addresses-many", () => 41_000, loopback());
    await addresses.provide(many);
    expect(addresses.of("s252", 5432)).toMatch(/\.254$/);
    expect(addresses.of("s253", 5432)).toBeUndefined();
    await addresses.close();
  });
});

describe("Networks", () => {
  const watching = { watch: async () => {}, unwatch: async () => {} };
  const without = { enforcement: { level: "none", reason: "no namespaces" }, users: null } as const;

  it("stacks share the machine's network where they cannot have separate ones, with the reason", async () => {
    const networks = new Networks("auto", without, () => {}, watching);
    expect(await networks.open()).toBeNull();
    expect(await networks.enforcement()).toMatchObject({
      level: "none",
      reason: expect.stringMatching(/Stacks have no separate networks: no namespaces\.$/),
    });
    await networks.close();
  });

  it("an operator's choice of shared networks is the reason", async () => {
    const networks = new Networks("shared", without, () => {}, watching);
    expect(await networks.open()).toBeNull();
    expect((await networks.enforcement()).reason).toContain("the setting local_network is shared");
  });

  it.runIf(canIsolate)(
    "a network that cannot be opened is a warning, once, and stacks share the machine's",
    async () => {
      const enforcement = { level: "enforced", reason: "" } as const;
      const failing = { watch: () => Promise.reject(new Error("no watchdog")), unwatch: async () => {} };
      const warnings: string[] = [];
      const networks = new Networks("auto", { enforcement, users: null }, (text) => warnings.push(text), failing);
      expect(await networks.open()).toBeNull();
      expect(await networks.open()).toBeNull();
      expect(warnings).toEqual(["Stacks share the machine's network: no watchdog"]);
      expect((await networks.enforcement()).reason).toMatch(/no separate networks: no watchdog\.$/);
      await networks.close();
      expect(await networks.open()).toBeNull();
      expect(warnings).toHaveLength(1);
    },
  );

  it("separate networks that the operator requires and that are impossible are refused", async () => {
    const networks = new Networks("isolated", without, () => {}, watching);
    await expect(networks.open()).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: "Stacks cannot have separate networks here: no namespaces.",
      hint: "Install what is missing, or set local_network to auto.",
    });
  });
});
