import { build } from "esbuild"; 
import { readdirSync, statSync, readFileSync, writeFileSync } from "node:fs";
import { join, dirname, basename } from "node:path";
const root = "/work/wt/compose";
await build({ entryPoints: [root+"/src/stack/definition/load.ts", root+"/test/support/compose-reference.ts", root+"/test/support/compose-model.ts"], bundle: true, platform: "node", format: "esm", outdir: root+"/tmp.local/out", outbase: root, external: [], banner: { js: "import { createRequire } from 'module'; const require = createRequire(import.meta.url);" }, define: {"import.meta.dirname": JSON.stringify(root+"/test/support")}, logLevel: "error" });
const { loadStack } = await import(root+"/tmp.local/out/src/stack/definition/load.js");
const { buildReference, askReference } = await import(root+"/tmp.local/out/test/support/compose-reference.js");
const { modelDifferences } = await import(root+"/tmp.local/out/test/support/compose-model.js");
const { program, reason } = buildReference(); if (!program) throw new Error(reason);
const base = "/work/tmp/corpora";
const walk = (d) => readdirSync(d, { withFileTypes: true }).flatMap((e) => e.isDirectory() ? walk(join(d, e.name)) : [join(d, e.name)]);
const out = []; const reasons = new Map(); const diffs = []; const slow = [];
const only = process.argv[2];
for (const c of readdirSync(base).sort()) {
  if (only && !c.includes(only)) continue;
  const files = walk(join(base, c)).filter((f) => /compose[^/]*\.ya?ml$|\/[^/]*compose[^/]*\/[^/]*\.ya?ml$/i.test(f) && statSync(f).size < 1e6).filter((f) => /^(?:.*\/)?[^/]*compose[^/]*\.ya?ml$/i.test(f));
  const requests = files.map((f) => ({ folder: dirname(f), files: [f] }));
  const answers = requests.length ? askReference(program, requests) : [];
  const n = { files: files.length, composeGo: 0, ours: 0, policy: 0, equal: 0, oursOnly: 0, refusedBoth: 0, invalid: 0 };
  for (let i = 0; i < files.length; i++) {
    const t = performance.now();
    let def = null, err = null;
    // as in one repository: the corpus folder is the project
    try { def = await loadStack({ projectId: "reference", folder: dirname(files[i]), files: [basename(files[i])], profiles: [], allowRoot: [], generateSecret: async () => "generated" }); } catch (e) { err = e; }
    const ms = performance.now() - t; if (ms > 300) slow.push([files[i], ms]);
    const a = answers[i];
    if (a.project) n.composeGo++;
    if (def) n.ours++;
    if (def && !a.project) { n.oursOnly++; diffs.push(`${files[i]}\n   OURS ONLY; compose-go: ${a.error}`); }
    if (!def && !a.project) n.refusedBoth++;
    if (!def && a.project) {
      if (err.code === "POLICY_VIOLATION") { n.policy++; }
      else { n.invalid++; for (const p of err.details?.problems ?? [{ path: "?", message: err.message + (err.code ? "" : err.stack) }]) { const k = p.message.replace(/'[^']*'|"[^"]*"|\/\S+|\d+/g, "…").slice(0, 100); reasons.set(k, (reasons.get(k) ?? new Set()).add(files[i] + " " + p.path + ": " + p.message.slice(0,200))); } }
    }
    if (def && a.project) { const d = modelDifferences(def, a.project); if (d.length === 0) n.equal++; else diffs.push(files[i] + "\n   " + d.slice(0, 6).map((x) => x.slice(0, 300)).join("\n   ")); }
  }
  console.log(c.padEnd(48), JSON.stringify(n)); for (const k in n) out[k] = (out[k] ?? 0) + n[k];
}
console.log("TOTAL", JSON.stringify({ ...out }));
for (const [k, v] of [...reasons].sort((a, b) => b[1].size - a[1].size).slice(0, 40)) console.log(v.size, k, "\n      ", [...v].slice(0, 3).join("\n       "));
writeFileSync("/tmp/diffs.txt", diffs.join("\n")); console.log(diffs.length, "diffs in /tmp/diffs.txt"); console.log(slow);
