/** Names and labels of a project's volumes on an engine. */
import { createHash } from "node:crypto";
import { identityHash, LABEL, type StackIdentity, stackLabels } from "../leftovers/labels.js";

/** Name of a volume. It is the same at every start: a volume outlives its containers, networks and servers. */
export const volumeName = (identity: StackIdentity, volume: string): string =>
  `stackwarden_${identity.projectId}_${volume}_${identityHash(identity)}`;

/** Name for a path that the image declares as a volume and the compose file does not mount. */
export const imageVolumeName = (identity: StackIdentity, service: string, path: string): string =>
  volumeName(identity, `${service}-${createHash("sha256").update(path).digest("hex").slice(0, 8)}`);

/** @param volume name in the definition; omitted for volumes that an image declares */
export const volumeLabels = (identity: StackIdentity, volume?: string): Record<string, string> => ({
  ...stackLabels(identity),
  [LABEL.volume]: volume ?? "",
});
