import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readRequirements } from "../../../../src/runtimes/shared/manifests/python.js";
import { InstallFixture } from "../../local/support/install-context.js";

describe("readRequirements", () => {
  const fixture = new InstallFixture();
  afterAll(() => fixture.close());
  const read = (path: string) => readRequirements(join(fixture.folder, path), fixture.folder);

  it("a requirements file is read with all included files, each once", () => {
    fixture.file("a.txt", "-r sub/b.txt\n--constraint=c.txt\n-r https://host/remote.txt\nx==1\n");
    fixture.file("sub/b.txt", "-r ../a.txt\n-c ../c.txt\n");
    fixture.file("c.txt", "y<2\n");
    expect(read("a.txt")).toEqual({
      files: [
        {
          path: join(fixture.folder, "a.txt"),
          text: "-r sub/b.txt\n--constraint=c.txt\n-r https://host/remote.txt\nx==1\n",
        },
        { path: join(fixture.folder, "sub/b.txt"), text: "-r ../a.txt\n-c ../c.txt\n" },
        { path: join(fixture.folder, "c.txt"), text: "y<2\n" },
      ],
      empty: false,
      usesSources: false,
    });
  });

  it.each(["-e .", "--editable ./lib", ".", "./lib", "../lib", "/srv/lib.whl", "lib @ file:///srv/lib.whl", ".[dev]"])(
    "the requirement %s depends on the project's sources",
    (line) => {
      fixture.file("sources.txt", `${line}\n`);
      expect(read("sources.txt")).toMatchObject({ usesSources: true, empty: false });
    },
  );

  it.each(["", "# nothing\n\n"])("a requirements file with the content %j is empty", (text) => {
    fixture.file("empty.txt", text);
    expect(read("empty.txt")).toMatchObject({ empty: true, usesSources: false });
  });

  it("a file that is missing, outside of the project or not a regular file is refused", () => {
    fixture.file("out.txt", "-r ../../outside.txt\n");
    fixture.file("absolute.txt", "-r /etc/passwd\n");
    fixture.file("linked.txt", "-r passwd\n");
    symlinkSync("/etc/passwd", join(fixture.folder, "passwd"));
    execFileSync("mkfifo", [join(fixture.folder, "pipe.txt")]);
    for (const [path, message] of [
      ["absent.txt", "absent.txt does not exist."],
      ["out.txt", "The requirements file ../../outside.txt is outside the project's folder."],
      ["absolute.txt", /is outside the project's folder/],
      ["linked.txt", "passwd leads outside the project's folder."],
      ["pipe.txt", "pipe.txt is a named pipe; expected a regular file."],
    ] as const)
      expect(() => read(path)).toThrow(
        expect.objectContaining({
          code: "DEPENDENCY_INSTALL_FAILED",
          message: typeof message === "string" ? message : expect.stringMatching(message),
        }),
      );
  });

  it("a requirements file with more than 200 included files is refused", () => {
    for (let n = 0; n < 210; n += 1) fixture.file(`many/${n}.txt`, `-r ${n + 1}.txt\n`);
    expect(() => read("many/0.txt")).toThrow("many/0.txt includes more than 200 files.");
  });
});
