/** HTTP check: a GET whose status decides; the body is not kept. */
import { request } from "node:http";
import type { Check } from "./bounded.js";

export interface HttpTarget {
  port: number;
  path: string;
  /** Exact status; null: any from 200 to 399, as curl -f and wget see it. */
  status: number | null;
}

export const httpCheck =
  ({ port, path, status }: HttpTarget): Check =>
  (signal) =>
    new Promise((resolve, reject) => {
      const call = request(
        { host: "127.0.0.1", port, path, method: "GET", signal, agent: false, headers: { host: `localhost:${port}` } },
        (response) => {
          const code = response.statusCode ?? 0;
          response.destroy();
          const good = status === null ? code >= 200 && code < 400 : code === status;
          if (good) resolve(`HTTP ${code}`);
          else reject(new Error(`HTTP ${code}, expected ${status ?? "2xx or 3xx"}`));
        },
      );
      call.once("error", reject);
      call.end();
    });
