// Loaded into a server before its own code (NODE_OPTIONS=--require): kills it with SIGKILL at the call that the file
// CRASH_ORDER names, as {call, path, when}. So a test's server dies between two steps of its work, the same in every run.
// Programs in Node.js that the server starts load it too, and are left alone.
const { existsSync, readFileSync } = require("node:fs");
const { syncBuiltinESMExports } = require("node:module");
const files = require("node:fs/promises");
const children = require("node:child_process");

const file = process.argv[1]?.endsWith("stackwarden.js") ? process.env.CRASH_ORDER : undefined;
const kill = process.kill.bind(process);

/** @returns which of both sides of this call is the last moment, if it is one */
function ordered(call, words) {
  if (file === undefined || !existsSync(file)) return undefined;
  const order = JSON.parse(readFileSync(file, "utf8"));
  return order.call === call && new RegExp(order.path, "s").test(words.join(" ")) ? order.when : undefined;
}

function die() {
  kill(process.pid, "SIGKILL");
  // Not one instruction more, however long the signal takes.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function watch(holder, call) {
  const original = holder[call];
  holder[call] = function (...words) {
    const when = ordered(call, words);
    if (when === "before") die();
    const result = original.apply(this, words);
    if (when === "after") {
      if (typeof result?.then !== "function") die();
      return result.then(die);
    }
    return result;
  };
}

for (const call of ["appendFile", "mkdir", "open", "rename", "rm", "rmdir", "writeFile"]) watch(files, call);
watch(children, "spawn");
watch(process, "kill");
syncBuiltinESMExports();
