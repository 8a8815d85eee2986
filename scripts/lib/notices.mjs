// The licence notices of every package that a bundle contains: MIT, ISC and BSD licences require them in copies.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;

/** The folder of the package that a module belongs to: the nearest package.json with a name and a version. */
function packageFolder(file) {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (!existsSync(manifest)) continue;
    const { name, version } = JSON.parse(readFileSync(manifest, "utf8"));
    if (name !== undefined && version !== undefined) return folder;
  }
  throw new Error(`${file} belongs to no package`);
}

/**
 * @param {string} root folder to which the paths of the metafile are relative
 * @param {import("esbuild").Metafile} metafile
 * @returns {string} one section per bundled package, sorted by name
 * @throws when a bundled package has neither a licence file nor a `license` field
 */
export function licenceNotices(root, metafile) {
  const bundled = new Set(
    Object.values(metafile.outputs).flatMap(({ inputs }) =>
      Object.entries(inputs)
        .filter(([path, { bytesInOutput }]) => path.includes("node_modules/") && bytesInOutput > 0)
        .map(([path]) => packageFolder(join(root, path))),
    ),
  );
  const sections = [...bundled].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const texts = readdirSync(folder)
      .filter((file) => LICENCE_FILE.test(file))
      .sort()
      .map((file) => readFileSync(join(folder, file), "utf8").trim());
    if (texts.length === 0 && typeof license !== "string")
      throw new Error(`${name}@${version} states no licence; it cannot be bundled`);
    return [`${name} ${version} (${license ?? "see below"})`, ...texts].join("\n\n");
  });
  return [
    "stackwarden contains code of the packages below, under their own licences.",
    ...new Set(sections.sort()),
  ].join(`\n\n${"-".repeat(80)}\n\n`);
}
