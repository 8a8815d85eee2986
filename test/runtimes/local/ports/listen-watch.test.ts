import { afterEach, describe, expect, it } from "vitest";
import { MACHINE_LOOPBACK } from "../../../../src/runtimes/local/network/loopback.js";
import { type Listening, ListenWatch } from "../../../../src/runtimes/local/ports/listen-watch.js";
import type { Listener } from "../../../../src/runtimes/local/ports/listeners.js";

const isRoot = process.getuid?.() === 0;
const UID = 400_001;
const listener = (fields: Partial<Listener> = {}): Listener => ({
  port: 4000,
  uid: UID,
  loopback: false,
  answersLoopback: true,
  ...fields,
});

describe.runIf(isRoot)("ListenWatch", () => {
  const watches: ListenWatch[] = [];
  afterEach(() => {
    for (const one of watches.splice(0)) one.end();
  });

  const watch = (sockets: Listener[] | null, fields: Partial<Listening> = {}) => {
    const open: number[] = [];
    const loopback = { ...MACHINE_LOOPBACK, listeners: async () => sockets, recentListeners: async () => sockets };
    const one = new ListenWatch({
      uid: UID,
      project: "shop",
      ports: () => [4000],
      loopback,
      onOpen: (port) => open.push(port),
      onNeighbour: () => {},
      ...fields,
    });
    watches.push(one);
    return { one, open };
  };

  it("each port on which the service's user listens for other machines is reported once", async () => {
    const { one, open } = watch([
      listener(),
      listener({ port: 4001, loopback: true }),
      listener({ port: 4002, uid: UID + 1 }),
      listener({ port: 4003 }),
    ]);
    await one.look();
    await one.look({ isRecent: false });
    expect(open).toEqual([4000, 4003]);
  });

  it("nothing is reported after the end of the service, in a separate network, and for users with other programs", async () => {
    const ended = watch([listener()]);
    ended.one.end();
    await ended.one.look();
    const separate = watch([listener()], {
      loopback: { ...MACHINE_LOOPBACK, shared: false, recentListeners: async () => [listener()] },
    });
    await separate.one.look();
    const owner = watch([listener({ uid: 1000 })], { uid: 1000 });
    await owner.one.look();
    const unknown = watch(null);
    await unknown.one.look();
    expect([ended.open, separate.open, owner.open, unknown.open]).toEqual([[], [], [], []]);
  });

  it("a port of the service that another user has is named with both users", async () => {
    const sockets = [listener({ port: 9, uid: 1000 }), listener({ uid: null }), listener({ uid: 1000 })];
    const { one } = watch(sockets);
    expect(await one.stranger()).toBe(
      `port 4000 belongs to another program (user 1000), not to this service (user ${UID})`,
    );
    expect(await one.stranger({ isRecent: true })).not.toBeNull();
    one.end();
    expect(await one.stranger()).toBeNull();
    expect(await watch([listener()]).one.stranger()).toBeNull();
    expect(await watch(null).one.stranger()).toBeNull();
    // Sockets of root cannot be distinguished from the server's.
    expect(await watch(sockets, { uid: 0 }).one.stranger()).toBeNull();
  });
});
