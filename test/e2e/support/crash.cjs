// Loaded into a server before its own code (NODE_OPTIONS=--require): kills it with SIGKILL at the call that the file
// CRASH_ORDER names, as {call, path, when}. So a test's server dies between two steps of its work, the same in every run.
// With {hold: true}, the call never returns instead, and the file is renamed to <file>.held: a change stays between two of
// its steps until the server is killed during another change. Only a call that returns a promise can be held.
// Programs in Node.js that the server starts load it too, and are left alone.
const { existsSync, readFileSync, renameSync } = require("node:fs");
const { syncBuiltinESMExports } = require("node:module");
const files = require("node:fs/promises");
const children = require("node:child_process");

const file = process.argv[1]?.endsWith("stackwarden.js") ? process.env.CRASH_ORDER : undefined;
const kill = process.kill.bind(process);

/** @returns the order, if it is for this call */
function ordered(call, words) {
  if (file === undefined || !existsSync(file)) return undefined;
  const order = JSON.parse(readFileSync(file, "utf8"));
  return order.call === call && new RegExp(order.path, "s").test(words.join(" ")) ? order : undefined;
}

function die() {
  kill(process.pid, "SIGKILL");
  // Not one instruction more, however long the signal takes.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function hold() {
  renameSync(file, `${file}.held`);
  return new Promise(() => {});
}

function watch(holder, call) {
  const original = holder[call];
  holder[call] = function (...words) {
    const order = ordered(call, words);
    const end = order?.hold ? hold : die;
    if (order?.when === "before") return end();
    const result = original.apply(this, words);
    if (order?.when !== "after") return result;
    return typeof result?.then === "function" ? result.then(end) : end();
  };
}

for (const call of ["appendFile", "mkdir", "open", "rename", "rm", "rmdir", "writeFile"]) watch(files, call);
watch(children, "spawn");
watch(process, "kill");
syncBuiltinESMExports();
