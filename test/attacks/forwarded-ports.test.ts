/** Another user of the machine who connects to the published port of a stack again and again. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { findProgram } from "../../src/system/find-program.js";
import { APP, appCompose, TestBench } from "../e2e/support/bench.js";
import { isRoot } from "./support/processes.js";

let bench: TestBench;
const held: Socket[] = [];
afterEach(async () => {
  for (const socket of held.splice(0)) socket.destroy();
  await bench.close();
});

const pasta = await findProgram("pasta");

// Before, the server had no descriptor left: no command started and no log was written (1 of 1 run).
it.skipIf(!isRoot || pasta === null)("leaves the server descriptors for its other work", async () => {
  bench = new TestBench("standalone");
  bench.wrapper = ["/bin/sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"];
  bench.project("shop", { "compose.yaml": appCompose(), "app.js": APP });
  const server = await bench.server();
  const { after } = await server.call("start_stack", { project: "shop", folder: "shop" });
  const port = after.services.app.endpoints[0].host_port as number;
  for (let batch = 0; batch < 15; batch += 1)
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = connect({ host: "127.0.0.1", port });
        held.push(socket);
        socket.on("error", () => undefined);
        await Promise.race([once(socket, "connect"), once(socket, "close")]);
      }),
    );
  const call = { project: "shop", service: "app", command: ["id", "-u"] };
  expect(await server.call("run_command", call)).toMatchObject({ exit_code: 0 });
  expect(server.stderr()).not.toContain("cannot be written");
  for (const socket of held.splice(0)) socket.destroy();
  await expect
    .poll(() =>
      fetch(`http://127.0.0.1:${port}/health`).then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200);
});
