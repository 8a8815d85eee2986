/** Recognises symptoms in log lines: messages that languages, databases and kernels always print in the same form. */
import type { LogLine } from "../logs/types.js";
import { PRIVILEGED_PORT } from "../text/permission-lines.js";
import type { CauseKind } from "./types.js";

export interface LogSymptom {
  kind: CauseKind;
  /** Must match in linear time: no nested repetition. */
  pattern: RegExp;
  explanation: string;
  /** The fix, as a sentence. The service is restarted afterwards. */
  do: string;
  /** The fix is made in the compose file: a start applies it, a restart does not. */
  inDefinition?: true;
  /**
   * For a pattern that also matches other errors: whether the line has this cause.
   * @param before the lines before it
   */
  confirmed?: (line: string, before: readonly LogLine[]) => boolean;
}

/** A frame of a Python traceback, and one in a module that reads settings. */
const FRAME = /^\s*File "[^"]+", line \d+/;
const SETTINGS_MODULE = /^\s*File "(?:<frozen os>|[^"]*\/(?:os|configparser|decouple|environs?)\.py)"/;
/** Source that reads a setting. */
const READS_SETTING = /environ|getenv|config|settings|\benv\b/i;
/** Maximum lines between a Python error and the source line that raised it, with markers and frames of the library. */
const NEAR = 8;

/**
 * A missing key is a setting where the traceback shows code that reads one. Without a traceback, its name decides: the
 * names of settings are in upper case.
 */
function readsSetting(line: string, before: readonly LogLine[]): boolean {
  const key = /KeyError: '([^']{1,200})/.exec(line)?.[1];
  if (key === undefined) return true;
  const near = before.slice(-NEAR).map(({ text }) => text.slice(0, READ));
  const frame = near.findLastIndex((text) => FRAME.test(text));
  if (frame < 0) return /^[A-Z][A-Z0-9_]+$/.test(key);
  const [place = "", ...source] = near.slice(frame);
  return SETTINGS_MODULE.test(place) || source.some((text) => READS_SETTING.test(text));
}

/** The first sign that matches a line is used. */
const SIGNS: readonly LogSymptom[] = [
  {
    kind: "disk_full",
    pattern: /ENOSPC|No space left on device|disk quota exceeded/i,
    explanation: "The disk on which it writes is full.",
    do: "Free space on the disk of the state directory or of the project, then restart the service.",
  },
  {
    kind: "memory_limit",
    pattern: /\bMemoryError\b|heap out of memory|Cannot allocate memory|\bENOMEM\b|OutOfMemoryError/,
    explanation: "It could not get the memory it asked for.",
    do: "Give it more memory, or let it use less.",
  },
  {
    kind: "pids_limit",
    pattern:
      /can't start new thread|unable to create (?:native )?thread|fork: (?:retry|Resource temporarily)|spawn .{0,80} EAGAIN/i,
    explanation: "It could not start another process or thread.",
    do: "Raise its limit of processes, or let it start fewer.",
  },
  {
    kind: "open_files",
    pattern: /\bEMFILE\b|\bENFILE\b|Too many open files/i,
    explanation: "It has too many files or connections open.",
    do: "Let it close what it opens (a connection pool instead of a connection for each request), then restart it.",
  },
  {
    kind: "missing_module",
    pattern: /ModuleNotFoundError|No module named|ImportError:|Cannot find (?:module|package)|ERR_MODULE_NOT_FOUND/,
    explanation: "A module that its code imports is not there.",
    do: "Add the module named in the evidence to the service's manifest (requirements.txt or package.json) or correct the import, then restart the service: a changed manifest is installed again.",
  },
  {
    kind: "syntax_error",
    pattern: /\b(?:SyntaxError|IndentationError|TabError)\b/,
    explanation: "Its code cannot be parsed.",
    do: "Correct the code at the place named in the evidence, then restart the service.",
  },
  {
    kind: "port_taken",
    pattern: /EADDRINUSE|address (?:is )?already in use/i,
    explanation: "The port on which it listens is in use: by another program, or by a process of the same service.",
    do: "Let the code listen on the environment variable PORT instead of a fixed port (on the local runtime stackwarden sets it), or free the port, then restart the service.",
  },
  {
    kind: "permission_denied",
    pattern: PRIVILEGED_PORT,
    explanation: "It may not listen on a port below 1024: services do not run as root.",
    do: "Choose a port from 1024 upwards, in the service's configuration and in `ports` of the compose file, then start the stack.",
    inDefinition: true,
  },
  {
    kind: "bad_credentials",
    pattern:
      /password authentication failed|\bWRONGPASS\b|\bNOAUTH\b|no password supplied|Access denied for user|role "[^"]{1,64}" does not exist/i,
    explanation: "A database refused the user or the password.",
    do: "Let the service take its URL from the environment that the compose file gives it. Where the user or password in the compose file was changed after the volume was made, put the former one back. Then start the stack, which replaces what changed.",
    inDefinition: true,
  },
  {
    kind: "name_not_found",
    pattern:
      /ENOTFOUND|EAI_AGAIN|getaddrinfo|no such host|Name or service not known|failure in name resolution|could not translate host name|host not found/i,
    explanation: "A host name that it connects to is not known.",
    do: "Use the name of a service of this stack in the environment of the compose file, then start the stack, which replaces what changed.",
    inDefinition: true,
  },
  {
    kind: "connection_refused",
    pattern: /ECONNREFUSED|Connection refused|connect call failed|could not connect to server/i,
    explanation: "Something that it connects to did not listen there.",
    do: "Check that the target is a healthy service of this stack, at the address that the environment gives, and that depends_on waits for it. Then restart the service.",
  },
  {
    kind: "permission_denied",
    pattern: /\bEACCES\b|\bEPERM\b|Permission denied|Operation not permitted|\bEROFS\b|Read-only file system/i,
    explanation: "It is not allowed to read, write or run something. Services run as unprivileged users.",
    do: "Let it write to a volume or a tmpfs of the compose file, and read only what every user may read. Then restart the service.",
  },
  {
    kind: "missing_database",
    pattern: /database "[^"]{1,128}" does not exist|Unknown database '[^']{1,128}'|InvalidCatalogName/i,
    explanation:
      "The database that it names does not exist on the server. A database server creates the one of its environment only when its volume is new.",
    do: "Create the database, or correct its name in the compose file and start the stack; where POSTGRES_DB (MYSQL_DATABASE) was changed after the volume was made, put the former name back, or delete the volume with stop_stack when its data is not needed.",
    inDefinition: true,
  },
  {
    kind: "missing_table",
    pattern:
      /(?:relation|column) "?[^"]{1,128}"? does not exist|no such (?:table|column)|UndefinedTable|UndefinedColumn|Unknown column|doesn't exist in engine/i,
    explanation: "A table or column that the code uses is not in the database.",
    do: "Run the project's migrations, then restart the service.",
  },
  {
    kind: "missing_setting",
    pattern: /KeyError: '|environment variable|(?:is|was|are) not set|missing required|Field required/i,
    confirmed: readsSetting,
    explanation: "A setting that it needs seems to be missing.",
    do: "Give the setting named in the evidence in the service's environment in the compose file, then start the stack again, which replaces only what changed.",
    inDefinition: true,
  },
];

const ERROR_WORDS =
  /error|exception|traceback|fatal|panic|critical|fail|refused|denied|cannot|could not|unable|segfault|killed|abort|timed? ?out/i;
/** Maximum characters of a line that are examined. */
const READ = 2000;

/** Ordinary PostgreSQL messages. PostgreSQL reports problems as WARNING, ERROR, FATAL or PANIC. */
const ORDINARY = /^[^"']{0,80}\b(?:LOG|INFO|NOTICE|DEBUG\d?): {1,2}/;

export const looksWrong = ({ text }: Pick<LogLine, "text">): boolean => {
  const start = text.slice(0, READ);
  return ERROR_WORDS.test(start) && !ORDINARY.test(start);
};

/** The newest line that matches the pattern of a symptom, with that symptom; null when none matches. */
export function findSymptom(lines: readonly LogLine[]): { sign: LogSymptom; line: LogLine } | null {
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    const symptom = symptomAt(lines, at);
    if (symptom !== null) return symptom;
  }
  return null;
}

/** The sign that the line at this index matches. */
export function symptomAt(lines: readonly LogLine[], at: number): { sign: LogSymptom; line: LogLine } | null {
  const line = lines[at];
  if (line === undefined) return null;
  const text = line.text.slice(0, READ);
  const sign = SIGNS.find(
    ({ pattern, confirmed }) =>
      pattern.test(text) && (confirmed?.(text, lines.slice(Math.max(0, at - NEAR), at)) ?? true),
  );
  return sign === undefined ? null : { sign, line };
}
