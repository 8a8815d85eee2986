// Brings a clone to the point where everything can run, with `--tests` the tests too. Idempotent, and offline when
// nothing is missing.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { whyInstall } from "./lib/node-modules.mjs";
import { npm, onPath, root, run, say } from "./lib/run.mjs";
import { missingPackages, plan } from "./lib/system-packages.mjs";

const POLICY = "/usr/sbin/policy-rc.d";

function installNodeModules() {
  const why = whyInstall(root);
  if (why === null) return true;
  say(`setup: ${why}; installing`);
  const options = ["--no-audit", "--no-fund"];
  if (npm(["ci", ...options])) return true;
  // "npm ci" refuses a lock file in which a registry lacks another platform's optional package; "npm install" does not.
  say("setup: npm ci refused, trying npm install");
  return npm(["install", "--no-save", "--no-package-lock", ...options]) || npm(["install", ...options]);
}

/** Debian starts a daemon when it is installed; a policy that forbids it stands for just that long. */
function aptInstall(names) {
  const ownPolicy = !existsSync(POLICY);
  if (ownPolicy) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
    const apt = (...args) => run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=180", ...args], { env });
    const install = () => apt("install", "-y", "--no-install-recommends", "--", ...names);
    return install() || (apt("update") && install());
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true });
  }
}

function installSystemPackages() {
  const succeeds = ([command, ...args]) => spawnSync(command, args, { stdio: "ignore" }).status === 0;
  const step = plan({
    platform: process.platform,
    uid: process.getuid?.(),
    apt: onPath("apt-get"),
    missing: missingPackages(onPath, succeeds, process.argv.includes("--tests")),
  });
  if (step.kind === "install") {
    say(`setup: installing ${[...step.names, ...step.optional.map(([name]) => name)].join(", ")}`);
    if (step.names.length > 0 && !aptInstall(step.names))
      say(`setup: could not install ${step.names.join(", ")}; services that need them will not start`);
    for (const names of step.optional)
      if (!names.some((name) => aptInstall([name])))
        say(`setup: could not install ${names.join(" or ")}; tests that need it are skipped`);
  } else if (step.kind === "tell") {
    say(`setup: something is missing. ${step.message}`);
  }
}

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  say(`setup: Node.js 20.19 or later is needed, this is ${process.versions.node}`);
  process.exit(1);
}
if (!installNodeModules()) {
  say("setup: installing the Node.js dependencies failed");
  process.exit(1);
}
installSystemPackages();
