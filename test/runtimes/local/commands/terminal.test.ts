/** The output of a command in a terminal, whose first line names the terminal's device. */
import { expect, it } from "vitest";
import { terminalOutput } from "../../../../src/runtimes/local/commands/terminal.js";

/** @returns the output passed on for these chunks before and after the end, and the device */
async function passed(...chunks: string[]) {
  const parts: string[] = [];
  const output = terminalOutput((_stream, chunk) => void parts.push(chunk.toString()));
  for (const chunk of chunks) await output.onOutput("stdout", Buffer.from(chunk));
  const before = parts.join("");
  await output.end();
  return { before, all: parts.join(""), device: output.device };
}

it("terminalOutput removes the line that names the device, for every chunking, and no other output", async () => {
  expect(await passed("/dev/p", "ts/12\r\nout", "put")).toEqual({
    before: "output",
    all: "output",
    device: "/dev/pts/12",
  });
  expect(await passed("not a tty\r\n", "/dev/pts/1\r\n")).toMatchObject({
    before: "not a tty\r\n/dev/pts/1\r\n",
    device: null,
  });
  expect(await passed("x".repeat(70))).toMatchObject({ before: "x".repeat(70) });
});

it("terminalOutput passes on output that ends before its first line does", async () => {
  expect(await passed("script: no ", "terminal")).toEqual({ before: "", all: "script: no terminal", device: null });
  expect(await passed("/dev/pts/3")).toEqual({ before: "", all: "", device: "/dev/pts/3" });
  expect(await passed()).toMatchObject({ all: "" });
});
