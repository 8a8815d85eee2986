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

describe("hideSecretWords with a shell script", () => {
  it("a script with a secret runs unchanged, and no argument or child environment holds the secret", () => {
    const script = `echo "$0 $1 $#" '${SECRET}'; /usr/bin/env | grep -c STACKWARDEN; echo "$__stackwarden_script"; exit 7`;
    const { argv, stdout, status, exposed } = run(["/bin/sh", "-c", script, "name", "one two"], {
      PATH: "/usr/bin:/bin",
    });
    expect(argv.join(" ")).not.toContain(SECRET);
    expect(exposed).toBe(false);
    expect([stdout, status]).toEqual([`name one two 1 ${SECRET}\n0\n\n`, 7]);
  });

  it("a hidden script keeps its quotes, lines and comments", () => {
    const script = `# a comment\nprintf '%s|' "a  b" 'c"d' ${SECRET}\nif true; then echo yes; fi # end`;
    expect(run(["/bin/sh", "-c", script]).stdout).toBe(`a  b|c"d|${SECRET}|yes\n`);
  });
});

describe("hideSecretWords with other commands", () => {
  it("a command that is not a shell script stays unchanged and is reported when it exposes a secret", () => {
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
