// What the local runtime, or its tests, need from the machine, how it is recognised, and the one command that installs what is missing.

/**
 * `anyOf`: the program is there when one of these is found on PATH. `test`: a command that must succeed. `optional`:
 * installed by itself, since not every distribution has the package (then `instead` is tried); without it tests are
 * skipped. `testsOnly`: only the tests need it. `linuxOnly`: other systems do not have it.
 * @typedef {{debian: string, needed: string, anyOf?: string[], test?: string[], optional?: true, instead?: string,
 *   testsOnly?: true, linuxOnly?: true}} SystemPackage
 * @type {SystemPackage[]}
 */
export const SYSTEM_PACKAGES = [
  { debian: "redis-server", needed: "the redis service", anyOf: ["redis-server", "valkey-server"] },
  { debian: "python3-venv", needed: "Python services", test: ["python3", "-c", "import ensurepip, venv"] },
  { debian: "bubblewrap", needed: "namespaces of services (bwrap)", anyOf: ["bwrap"], linuxOnly: true },
  {
    debian: "passt",
    needed: "separate networks of stacks (pasta)",
    anyOf: ["pasta"],
    optional: true,
    linuxOnly: true,
  },
  { debian: "util-linux", needed: "dropping privileges (setpriv)", anyOf: ["setpriv"], linuxOnly: true },
  { debian: "iproute2", needed: "the tests that look at open ports (ss)", anyOf: ["ss"], testsOnly: true },
  {
    debian: "busybox",
    needed: "the tests of the entry script under a second shell",
    anyOf: ["busybox"],
    testsOnly: true,
  },
  {
    debian: "docker.io",
    needed: "the tests of the docker runtime",
    anyOf: ["dockerd"],
    optional: true,
    testsOnly: true,
  },
  {
    debian: "iptables",
    needed: "the networks of the docker runtime's tests",
    anyOf: ["iptables"],
    optional: true,
    testsOnly: true,
  },
  {
    debian: "chromium-headless-shell",
    instead: "chromium",
    needed: "the tests of the dashboard",
    anyOf: ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    optional: true,
    testsOnly: true,
  },
];

/**
 * @param {(program: string) => boolean} onPath
 * @param {(argv: string[]) => boolean} succeeds
 * @param {boolean} forTests whether what only the tests need counts
 */
export function missingPackages(onPath, succeeds, forTests) {
  return SYSTEM_PACKAGES.filter(
    (entry) =>
      (forTests || entry.testsOnly !== true) &&
      (entry.anyOf === undefined ? !succeeds(entry.test ?? []) : !entry.anyOf.some((program) => onPath(program))),
  );
}

/**
 * What to do about missing packages: install them (root on Debian or Ubuntu), or say the one command.
 * @param {{platform: string, uid: number | undefined, apt: boolean, missing: {debian: string, needed: string, optional?: true, instead?: string, linuxOnly?: true}[]}} facts
 * @returns {{kind: "nothing"} | {kind: "install", names: string[], optional: string[][]} | {kind: "tell", message: string}}
 */
export function plan({ platform, uid, apt, missing: all }) {
  const missing = all.filter((entry) => platform === "linux" || entry.linuxOnly !== true);
  if (missing.length === 0) return { kind: "nothing" };
  const names = missing.map((entry) => entry.debian);
  if (platform === "linux" && apt) {
    const required = missing.filter((entry) => entry.optional !== true).map((entry) => entry.debian);
    const optional = missing
      .filter((entry) => entry.optional === true)
      .map(({ debian, instead }) => [debian, ...(instead === undefined ? [] : [instead])]);
    if (uid === 0) return { kind: "install", names: required, optional };
    return { kind: "tell", message: `Run once: sudo apt-get install -y --no-install-recommends ${names.join(" ")}` };
  }
  // On other systems the browser is not a command on PATH; the tests look for it themselves.
  const required = missing.filter((entry) => entry.optional !== true);
  if (required.length === 0) return { kind: "nothing" };
  const needs = required.map((entry) => `${entry.anyOf?.[0] ?? entry.debian} for ${entry.needed}`).join(", ");
  if (platform === "darwin") return { kind: "tell", message: "Run once: brew install redis python" };
  return { kind: "tell", message: `Install with this system's package manager: ${needs}` };
}
