/**
 * Detects the moment in which a service's program begins: the entry script reports it, or the engine's host observes
 * it. The script's report arrives with the stack's log, which a service with much output can delay by minutes; the host
 * is faster then.
 */
import { StackwardenError } from "../../../errors.js";
import type { EngineHost } from "../engine-host/types.js";
import type { InstanceOutput } from "./instance-output.js";

/** The container on the engine's host; without an id, `why` gives the reason. */
export interface ObservedUser {
  id: string | null;
  why: string;
}

/** The user of the program, and the source of that information. */
export interface StartReport {
  uid: number;
  noNewPrivileges: boolean;
  source: string;
}

export interface BeginningOptions {
  service: string;
  host: EngineHost;
  container: Promise<ObservedUser>;
  /** Null: the image has no shell, so the entry script does not run. */
  entry: Pick<InstanceOutput, "started" | "unlimited"> | null;
  /** Aborts the observation on the host. */
  signal: AbortSignal;
}

export const never = (): Promise<never> => new Promise(() => {});
export const observedUser = ({ description }: EngineHost): string => `seen by the kernel (${description})`;

async function seenOutside({ host, container, entry, signal }: BeginningOptions): Promise<StartReport | null> {
  try {
    const { id } = await container;
    const user = id === null ? null : await host.begun(id, signal);
    if (user !== null) return { ...user, source: observedUser(host) };
  } catch {
    // It has ended or was not found; both cases are reported elsewhere.
    return never();
  }
  return entry === null ? null : never();
}

/**
 * Null when no source can report it. Never settles for a program that ended before it was observed.
 * @throws SERVICE_START_FAILED when the entry script gave up waiting for the limits
 */
export function waitForProgramStart(options: BeginningOptions): Promise<StartReport | null> {
  const { entry, service } = options;
  const outside = seenOutside(options);
  if (entry === null) return outside;
  const refused = entry.unlimited.then(({ waitedSeconds }) => {
    throw new StackwardenError(
      "SERVICE_START_FAILED",
      `${service} was not started: its limits were not in force after ${waitedSeconds} s.`,
      {
        hint: "The engine's host did not apply them. Run `stackwarden doctor`; the server's log has the details.",
        details: { service },
      },
    );
  });
  const scriptReport = entry.started.then(({ uid, noNewPrivileges }) => ({
    uid,
    noNewPrivileges,
    source: "seen inside the container by its entry script",
  }));
  return Promise.race([scriptReport, outside, refused]);
}
