/** What a provider prepares: everything needed to start one instance, with the addresses that are known only after the ports are held. */
import type { OpenStackRequest, StartServiceRequest } from "../../../stack/runtime.js";
import type { AddressBook } from "../address-rewrite.js";
import type { ProbeContext } from "../probes/probe.js";
import type { ProcessHost, ServiceUser } from "../types.js";

export interface PrepareContext {
  stack: Pick<OpenStackRequest, "projectId" | "folder" | "definition" | "stateDir" | "notice">;
  /** The server's state directory, for its cache. */
  serverStateDir: string;
  request: StartServiceRequest;
  user: ServiceUser;
  host: ProcessHost;
  book: AddressBook;
  home: string;
  tmp: string;
  /** The operator's settings for what fails on the network. */
  retry: { maxRetries: number; baseDelayMs: number };
  /** Root's own directory of this service, for files its user may read but not replace. */
  base: string;
}

export interface LaunchPlan {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  /** Beside `env`, for commands that callers run in the service: its own definition and how it is reached. */
  commandEnv?: Record<string, string>;
  notes: string[];
  access: ProbeContext["access"];
  /** Replaces the definition's stop signal. */
  stopSignal?: string;
  /** Finds the program of a health check's command. */
  resolve(argv: string[]): Promise<string[]>;
  /** Removes what an instance that was killed may have left outside its directories. */
  cleanUp?(): Promise<void>;
}
