/**
 * The result of a provider's preparation: everything needed to start one instance. Addresses are filled in after the
 * ports are held.
 */
import type { OpenStackRequest, PrepareServiceRequest } from "../../../stack/runtime.js";
import type { AddressBook } from "../addresses/address-rewrite.js";
import type { ProbeContext } from "../probes/probe.js";
import type { SandboxMount } from "../process/sandbox.js";
import type { ClientEnvironment } from "../toolchain/candidates.js";
import type { ProcessHost, ServiceUser, TranslatedService } from "../types.js";

/** A preparation or a start of a service whose image or Dockerfile was read. */
export type LocalStartRequest = PrepareServiceRequest & { service: TranslatedService };

export interface PrepareContext {
  stack: Pick<OpenStackRequest, "projectId" | "folder" | "definition" | "stateDir" | "notice">;
  /** The server's state directory, for its cache. */
  serverStateDir: string;
  request: LocalStartRequest;
  user: ServiceUser;
  host: ProcessHost;
  book: AddressBook;
  home: string;
  tmp: string;
  /** The address of the machine as services see it, for `host.docker.internal`; null when they cannot reach it. */
  machine: string | null;
  /** Says where the programs of the client are. */
  client: ClientEnvironment;
  /** The operator's settings for retries of network operations. */
  retry: { maxRetries: number; baseDelayMs: number };
  /** Directory of this service that belongs to root, for files that the service's user may read but not replace. */
  base: string;
}

export interface LaunchPlan {
  argv: string[];
  cwd: string;
  env: Record<string, string>;
  /**
   * Variables in addition to `env` for commands that callers run in the service: its own definition and its address.
   */
  commandEnv?: Record<string, string>;
  /** Programs that the server chose, and not the project. Default: the program of `argv`. */
  programs?: readonly string[];
  /** Folders that take the place of others in the service's namespaces. */
  mounts?: readonly SandboxMount[];
  /** Groups of the volumes that the service shares with others. */
  groups?: readonly number[];
  /** Files that replace the machine's own in the service's namespaces. */
  files?: Readonly<Record<string, string>>;
  notes: string[];
  /** Named volumes that held no file before the preparation. */
  emptyVolumes: readonly string[];
  access: ProbeContext["access"];
  /** Replaces the definition's stop signal. */
  stopSignal?: string;
  /** Resolves the program of a health check's command. */
  resolve(argv: string[]): Promise<string[]>;
  /** Removes remains of a killed instance outside its directories. */
  cleanUp?(): Promise<void>;
}
