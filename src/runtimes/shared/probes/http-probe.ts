/** HTTP check: a GET whose status decides; the body is discarded. */
import { request } from "node:http";
import type { Socket } from "node:net";
import type { Check } from "./bounded.js";
import { type Dial, dialLoopback } from "./dial.js";

export interface HttpTarget {
  port: number;
  path: string;
  /** Exact status; null accepts any from 200 to 399, as curl -f and wget do. */
  status: number | null;
  dial?: Dial;
}

export const httpCheck =
  ({ port, path, status, dial = dialLoopback }: HttpTarget): Check =>
  async (signal) => {
    const connection = await dial(port, signal);
    return new Promise((resolve, reject) => {
      const call = request(
        {
          createConnection: () => connection as Socket,
          path,
          method: "GET",
          signal,
          headers: { host: `localhost:${port}` },
        },
        (response) => {
          const code = response.statusCode as number;
          response.destroy();
          const good = status === null ? code >= 200 && code < 400 : code === status;
          if (good) resolve(`HTTP ${code}`);
          else reject(new Error(`HTTP ${code}, expected ${status ?? "2xx or 3xx"}`));
        },
      );
      call.once("error", reject);
      call.end();
    });
  };
