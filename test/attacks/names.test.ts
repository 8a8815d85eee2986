/** A service whose files have names that are not UTF-8, which the server could neither remove nor copy. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { TestBench } from "../e2e/support/bench.js";
import { isRoot } from "./support/processes.js";

const project = "names";
let bench: TestBench;
afterEach(() => bench.close());

// Before, the restart and every later start failed with STORAGE_FAILED, and the snapshot lacked the files.
it.skipIf(!isRoot)(
  "a service with file names that are not UTF-8 can be restarted, saved, restored and removed",
  async () => {
    bench = new TestBench("standalone");
    bench.project(project, {
      "compose.yaml": [
        "services:",
        "  app:",
        "    image: node:20",
        "    volumes: ['data:/data']",
        "    x-local: { command: [sleep, '1000'] }",
        "volumes: { data: {} }",
      ].join("\n"),
    });
    const server = await bench.server();
    await server.call("start_stack", { project, folder: project });
    const write = `for d in "$TMPDIR" /data; do mkdir -p "$d/$(printf 'f\\377')/sub" && echo kept > "$d/$(printf 'f\\377')/$(printf 'n\\376')"; done; ls /data | wc -l`;
    const call = { project, service: "app", shell: true };
    expect(await server.call("run_command", { ...call, command: write })).toMatchObject({ stdout: "1\n" });
    await server.call("restart_service", { project, service: "app" });
    await server.call("save_snapshot", { project, name: "one" });
    await server.call("stop_stack", { project, remove_volumes: true, snapshot: false, confirm: true });
    const state = join(bench.state, "projects", project);
    expect(readdirSync(join(state, "volumes"))).toEqual([]);
    await server.call("restore_snapshot", { project, snapshot: "one", confirm: true });
    await server.call("start_stack", { project });
    const read = `cat "/data/$(printf 'f\\377')/$(printf 'n\\376')"`;
    expect(await server.call("run_command", { ...call, command: read })).toMatchObject({ stdout: "kept\n" });
    await server.call("stop_stack", { project, remove_volumes: true, snapshot: false, confirm: true });
    await server.call("delete_snapshot", { project, snapshot: "one", confirm: true });
    expect(readdirSync(join(state, "volumes"))).toEqual([]);
  },
);
