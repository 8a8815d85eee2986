/**
 * Detects that data was lost: a volume is empty at a start although it had data. An engine that was killed can discard
 * its volumes, volumes can be deleted outside of stackwarden, and another engine has separate ones.
 */
import type { ServiceDefinition } from "../definition/types.js";
import type { RuntimeName, RuntimeService } from "../runtime.js";
import type { EventInput } from "../storage/events.js";
import { initialisesVolume } from "./service-checks.js";

/** What the project remembers of its named volumes on one runtime. */
export interface VolumeMemory {
  /** Volumes that had data. */
  readonly filled: readonly string[];
  /** Stores which volumes have data now and which are empty. */
  keep(changes: { filled: readonly string[]; empty: readonly string[] }): Promise<void>;
}

const namedVolumes = ({ mounts }: ServiceDefinition): string[] => [
  ...new Set(mounts.flatMap((mount) => (mount.type === "volume" ? [mount.source] : []))),
];

/** Compares the volumes of a new instance with what the project remembers, and reports each loss as an event. */
export async function watchVolumes(
  memory: VolumeMemory,
  definition: ServiceDefinition,
  instance: RuntimeService,
  event: (input: EventInput) => void,
): Promise<void> {
  const volumes = namedVolumes(definition);
  if (volumes.length === 0) return;
  const empty = await instance.emptyVolumes;
  if (empty === null) return;
  const emptied = volumes.filter((volume) => empty.includes(volume) && memory.filled.includes(volume));
  if (emptied.length > 0) {
    const message =
      emptied.length === 1
        ? `The volume ${emptied[0]} of ${definition.name} is empty at this start, although it had data before.`
        : `The volumes ${emptied.join(", ")} of ${definition.name} are empty at this start, although they had data before.`;
    instance.notes.push(message);
    event({
      type: "volumes_empty",
      service: definition.name,
      message,
      data: { volumes: emptied, generation: instance.generation },
    });
  }
  await memory.keep({ filled: volumes.filter((volume) => !empty.includes(volume)), empty: emptied });
}

/** Remembers the data of a database that became healthy: its server initialises an empty volume. */
export async function rememberData(
  memory: VolumeMemory,
  definition: ServiceDefinition,
  runtime: RuntimeName,
): Promise<void> {
  const volumes = namedVolumes(definition);
  // Of several volumes it is not known which one has the database.
  if (volumes.length === 1 && initialisesVolume(definition, runtime)) await memory.keep({ filled: volumes, empty: [] });
}
