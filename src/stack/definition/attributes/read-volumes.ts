/** Reads the top-level `volumes`. */
import { hasValue, type NodeReader } from "./node-reader.js";

export interface Volumes {
  declared: Set<string>;
  /**
   * Path readers of volumes that are folders of this machine (`driver_opts: {o: bind, device: ./data}`), by volume
   * name.
   */
  bound: Map<string, NodeReader>;
}

export function readVolumes(reader: NodeReader | undefined): Volumes {
  const declared = new Set<string>();
  const bound = new Map<string, NodeReader>();
  for (const [name, value] of hasValue(reader) ? reader.entries() : []) {
    declared.add(name);
    if (value.empty) continue;
    const fields = value.fields(["name", "driver", "driver_opts", "external", "labels"]);
    // The options of another driver have another meaning.
    const driver = hasValue(fields.driver) ? fields.driver.string() : "local";
    if (!hasValue(fields.driver_opts) || driver !== "local") continue;
    const options = new Map(fields.driver_opts.entries());
    const [kind, device] = [options.get("o")?.string() ?? "", options.get("device")];
    if (device !== undefined && kind.split(",").some((option) => option === "bind" || option === "rbind"))
      bound.set(name, device);
  }
  return { declared, bound };
}
