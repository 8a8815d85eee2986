/** PostgreSQL check: a real query as the service's own user. */
import type { Duplex } from "node:stream";
import type { Check } from "./bounded.js";
import { ServiceStarting } from "./command-verdict.js";
import { type Dial, dialLoopback } from "./dial.js";

export interface PostgresTarget {
  port: number;
  user: string;
  password: string;
  database: string;
  dial?: Dial;
}

/** SQLSTATE cannot_connect_now: the server starts, recovers from a crash or shuts down. */
const CANNOT_CONNECT_NOW = "57P03";

/** The socket methods that the client expects; it is used to connecting the socket itself. */
function connected(stream: Duplex): Duplex {
  const self = () => stream;
  return Object.assign(stream, {
    connect: () => void process.nextTick(() => stream.emit("connect")),
    setNoDelay: self,
    setKeepAlive: self,
    ref: self,
    unref: self,
  });
}

/** Explanations of login failures that a volume created with other settings causes. */
const CAUSES: Record<string, string> = {
  "28P01":
    "the password or user was refused: the volume was initialised with others. Put the former POSTGRES_USER and POSTGRES_PASSWORD back, change them with ALTER ROLE, or remove the volume",
  "3D000":
    "the database does not exist: the volume was initialised with another POSTGRES_DB. Create it, or remove the volume",
};

export const postgresCheck =
  ({ dial = dialLoopback, ...target }: PostgresTarget): Check =>
  async (signal) => {
    const { default: pg } = await import("pg");
    const stream = connected(await dial(target.port, signal));
    const client = new pg.Client({
      ...target,
      host: "127.0.0.1",
      ssl: false,
      application_name: "stackwarden",
      stream: () => stream as never,
    });
    const cut = () =>
      void (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    client.on("error", () => {});
    signal.addEventListener("abort", cut, { once: true });
    try {
      await client.connect();
      const { rows } = await client.query("select 1 as one");
      if (rows[0]?.one !== 1) throw new Error("select 1 did not answer 1");
      await client.end();
      return "select 1 answered";
    } catch (error) {
      cut();
      const code = String((error as { code?: string }).code);
      if (code === CANNOT_CONNECT_NOW) throw new ServiceStarting((error as Error).message);
      const cause = CAUSES[code];
      if (cause !== undefined) throw new Error(cause);
      throw error;
    } finally {
      signal.removeEventListener("abort", cut);
    }
  };
