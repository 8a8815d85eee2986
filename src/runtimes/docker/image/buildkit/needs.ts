/** Determines whether a Dockerfile needs BuildKit. */

const MOST_LINES = 10_000;

/** Flags and here-documents that the engine's classic builder does not know. */
const ONLY_BUILDKIT = [
  /^[ \t]*RUN[ \t]+(?:--\S+[ \t]+)*--(?:mount|network|security|device)\b/i,
  /^[ \t]*(?:COPY|ADD)[ \t]+(?:--\S+[ \t]+)*--(?:chmod|link|parents|exclude|checksum|keep-git-dir|unpack)\b/i,
  /^[ \t]*(?:RUN|COPY|ADD)[ \t].*<<-?["']?[A-Za-z_]/i,
];

export const needsBuildKit = (dockerfile: string): boolean =>
  dockerfile.split("\n", MOST_LINES).some((line) => ONLY_BUILDKIT.some((pattern) => pattern.test(line)));
