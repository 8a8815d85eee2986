import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { buildSync } from "esbuild";
import { expect, it } from "vitest";

it("an unhandled rejection is logged as a bug with its cause, and the process continues", async () => {
  const program = `
    import { surviveUnhandledRejections } from "./src/daemon/unhandled-rejections.ts";
    const logged = [];
    const undo = surviveUnhandledRejections({ error: (message, fields) => logged.push({ message, ...fields }) });
    void Promise.reject(new Error("forgotten"));
    void Promise.reject("text");
    setTimeout(() => {
      console.log(JSON.stringify(logged));
      undo();
      void Promise.reject(new Error("fatal again"));
      setTimeout(() => console.log("not reached"), 1000);
    }, 50);`;
  const { outputFiles } = buildSync({
    stdin: { contents: program, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
  });
  const ended = await promisify(execFile)(process.execPath, [
    "--input-type=module",
    "-e",
    outputFiles[0]?.text ?? "",
  ]).then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error: { stdout: string; code: number }) => error,
  );
  const [first = "", ...more] = ended.stdout.trim().split("\n");
  expect(JSON.parse(first)).toEqual([
    {
      message: "Internal error (a bug in stackwarden): a rejection was not handled.",
      cause: expect.stringContaining("Error: forgotten"),
    },
    { message: "Internal error (a bug in stackwarden): a rejection was not handled.", cause: "text" },
  ]);
  expect(more).toEqual([]);
  expect(ended.code).not.toBe(0);
});
