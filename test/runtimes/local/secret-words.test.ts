import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { hideSecretWords } from "../../../src/runtimes/local/secret-words.js";

const SECRET = "s3cret-of-the-shop";
const run = (argv: string[], env: Record<string, string> = {}) => {
  const hidden = hideSecretWords({ argv, env }, [SECRET, "abc"]);
  const { stdout, status } = spawnSync(hidden.argv[0] as string, hidden.argv.slice(1), {
    env: hidden.env,
    encoding: "utf8",
  });
  return { ...hidden, stdout, status };
};

describe("a shell's script with a secret", () => {
  it("runs as it was written, with its arguments, and is in no argument and in no child's environment", () => {
    const script = `echo "$0 $1 $#" '${SECRET}'; /usr/bin/env | grep -c STACKWARDEN; echo "$__stackwarden_script"; exit 7`;
    const { argv, stdout, status, exposed } = run(["/bin/sh", "-c", script, "name", "one two"], {
      PATH: "/usr/bin:/bin",
    });
    expect(argv.join(" ")).not.toContain(SECRET);
    expect(exposed).toBe(false);
    expect([stdout, status]).toEqual([`name one two 1 ${SECRET}\n0\n\n`, 7]);
  });

  it("keeps quotes, several lines and comments", () => {
    const script = `# a comment\nprintf '%s|' "a  b" 'c"d' ${SECRET}\nif true; then echo yes; fi # end`;
    expect(run(["/bin/sh", "-c", script]).stdout).toBe(`a  b|c"d|${SECRET}|yes\n`);
  });
});

describe("other commands", () => {
  it("stay as they are; whether a secret can be read in them is known", () => {
    for (const [argv, exposed] of [
      [["/bin/echo", SECRET], true],
      [["/bin/echo", `--password=${SECRET}`], true],
      [["/bin/echo", "abc", "plain"], false],
      [["/bin/sh", "-c", "echo plain"], false],
      [["/bin/sh", "-e", "-c", SECRET], true],
    ] as const)
      expect(hideSecretWords({ argv: [...argv], env: {} }, [SECRET, "abc"])).toEqual({ argv, env: {}, exposed });
  });
});
