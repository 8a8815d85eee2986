/** A socket in front of a daemon's, whose connections a test can close. */
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";

const rewriting = (rewrite: Rewrite): Transform =>
  new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(rewrite(chunk.toString("latin1")), "latin1")),
  });

type Rewrite = (text: string) => string;

const unchanged: Rewrite = (text) => text;

export interface Relay {
  /** Socket path, or host and port. */
  path: string;
  /** Closes every open connection; with `refuse` also each new one. */
  cut(refuse?: boolean): void;
  /** Accepts connections again. */
  allow(): void;
  close(): Promise<void>;
}

/**
 * @param at path of a socket, or null for any port of 127.0.0.1
 * @param rewrite changes what the daemon sends, without changing its length
 * @param request receives what the client sends, before the daemon does
 */
export async function openRelay(
  at: string | null,
  target: string,
  rewrite = unchanged,
  request = unchanged,
): Promise<Relay> {
  const open = new Set<Socket>();
  let refusing = false;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (refusing) {
      near.destroy();
      return;
    }
    const far = connect({ path: target, allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      const change = from === near ? request : rewrite;
      (change === unchanged ? from : from.pipe(rewriting(change))).pipe(to);
      from.on("error", () => to.destroy());
      from.once("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    if (at === null) server.listen(0, "127.0.0.1", resolve);
    else server.listen(at, resolve);
  });
  const path = at ?? `127.0.0.1:${(server.address() as { port: number }).port}`;
  const cut = (refuse = false): void => {
    refusing = refuse;
    for (const one of open) one.destroy();
  };
  return {
    path,
    cut,
    allow: () => {
      refusing = false;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut(true);
      await closed;
      if (at !== null) rmSync(at, { force: true });
    },
  };
}
