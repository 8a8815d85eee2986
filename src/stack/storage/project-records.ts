/** Records of one project: its secrets, events and logs, and the text filter that is applied to them. */
import { join } from "node:path";
import type { LogStore, OpenLogStore } from "../logs/types.js";
import type { StackEvent } from "../model.js";
import { textCleaner } from "../text/clean-text.js";
import { createRedactor, type Redactor } from "../text/redaction.js";
import { EventLog } from "./events.js";
import { openSecretStore, type SecretStore } from "./secret-store.js";

export interface RecordsOptions {
  project: string;
  /** The project's directory below the state directory; exists. */
  directory: string;
  openLogStore: OpenLogStore;
  logs: { ringBytes: number; spoolBytes: number };
  onEvent(event: StackEvent): void;
  onLogLines(service: string): void;
  onError(what: string, error: unknown): void;
}

export interface ProjectRecords {
  readonly secrets: SecretStore;
  readonly redactor: Redactor;
  readonly events: EventLog;
  readonly logs: LogStore;
  /** Sanitises, redacts and bounds text that came from a service or the runtime. */
  clean(text: string): string;
  /** True when another process has run the project since, so that these records are incomplete. */
  outdated(): Promise<boolean>;
  close(): Promise<void>;
}

/** @throws STORAGE_FAILED */
export async function openRecords(options: RecordsOptions): Promise<ProjectRecords> {
  const { project, directory } = options;
  const secrets = await openSecretStore(join(directory, "secrets.json"));
  const redactor = createRedactor(secrets.values());
  const clean = textCleaner(redactor);
  const events = new EventLog({
    project,
    file: join(directory, "events.jsonl"),
    clean,
    onEvent: options.onEvent,
    onError: (error) => options.onError("The project's events cannot be written", error),
  });
  await events.load();
  const logs = await options.openLogStore({
    directory: join(directory, "logs"),
    redact: (text) => redactor.redact(text),
    ...options.logs,
    onSpoolError: (error) => {
      options.onError("The logs cannot be written to disk; the newest lines stay in memory", error);
      events.add({
        type: "warning",
        message: `Logs cannot be written to disk (${(error as NodeJS.ErrnoException).code ?? error.message}); the newest lines stay in memory.`,
      });
    },
  });
  const unsubscribe = logs.onAppend(options.onLogLines);
  return {
    secrets,
    redactor,
    events,
    logs,
    clean,
    outdated: () => events.outdated(),
    close: async () => {
      unsubscribe();
      await Promise.all([logs.close(), events.flush()]);
    },
  };
}
