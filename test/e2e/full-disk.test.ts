/** A state directory on a small disk that becomes full while a stack runs. */
import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { APP, appCompose, type Server, TestBench, until } from "./support/bench.js";

const bench = new TestBench("standalone");

function mountSmallDisk(): boolean {
  mkdirSync(bench.state, { mode: 0o711 });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=711", "stackwarden-test", bench.state], {
      stdio: "ignore",
    });
    bench.undo.push(() => execFileSync("umount", [bench.state]));
    return true;
  } catch {
    return false;
  }
}
const mounted = mountSmallDisk();

describe("full disk", () => {
  const project = "shop";
  const filler = join(bench.state, "filler");
  let server: Server;
  let url = "";
  const get = (path: string) => fetch(`${url}${path}`).then((response) => response.text());
  const fill = () => {
    const { bavail, bsize } = statfsSync(bench.state);
    try {
      writeFileSync(filler, Buffer.alloc(bavail * bsize, 1));
      for (let at = 0; ; at += 1) writeFileSync(`${filler}${at}`, "x".repeat(4096));
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }
  };

  beforeAll(async () => {
    if (!mounted) return;
    bench.project(project, { "compose.yaml": appCompose(), "app.js": APP });
    server = await bench.server();
    const { after } = await server.call("start_stack", { project, folder: project });
    url = after.services.app.endpoints[0].url;
  });
  afterAll(() => bench.close());

  it.skipIf(!mounted)("a stack keeps running on a full disk, with logs in memory and a warning", async () => {
    fill();
    await get("/flood?lines=50000");
    await get("/say?text=after%20the%20flood");
    await until("the last line", async () => {
      const { lines } = await server.call("get_logs", { project, grep: "after the flood", tail: 1 });
      return lines.length === 1;
    });
    const { events } = await server.call("get_events", { project, types: ["warning"] });
    expect(events.map(({ message }: { message: string }) => message).join()).toContain("ENOSPC");
    expect(await server.call("health_status", { project })).toMatchObject({ overall_healthy: true });
  });

  it.skipIf(!mounted)("set_limits is refused on a full disk and changes nothing", async () => {
    const before = await server.call("list_stacks");
    const limits = await server.refused("set_limits", { project, service: "app", pids: 100 });
    expect(limits).toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    expect(limits.hint.length).toBeGreaterThan(10);
    expect((await server.call("list_stacks")).stacks[0].services.app.limits).toEqual(
      before.stacks[0].services.app.limits,
    );
  });

  it.skipIf(!mounted)("a stack stops on a full disk, and starts again once there is space", async () => {
    expect(await server.call("stop_stack", { project })).toMatchObject({ status: "stopped", verified: true });
    const refused = await server.refused("start_stack", { project });
    expect(refused.code).toBe("STORAGE_FAILED");
    expect(await server.call("list_stacks")).toMatchObject({ stacks: [{ state: "stopped" }] });
    execFileSync("/bin/sh", ["-c", 'rm -f "$1"*', "sh", filler]);
    expect(await server.call("start_stack", { project })).toMatchObject({ status: "healthy", verified: true });
    expect(await server.call("set_limits", { project, service: "app", pids: 100 })).toMatchObject({ live: true });
  });
});
