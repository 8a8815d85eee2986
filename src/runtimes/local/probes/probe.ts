/** Runs one health check of an instance and reports which kind of check it ran. */

import type { ProviderName } from "../../../stack/definition/image-name.js";
import type { Healthcheck } from "../../../stack/definition/types.js";
import type { ProbeResult } from "../../../stack/runtime.js";
import { bounded } from "../../shared/probes/bounded.js";
import { CheckProgramMissing, commandVerdict } from "../../shared/probes/command-verdict.js";
import type { Dial } from "../../shared/probes/dial.js";
import { httpCheck } from "../../shared/probes/http-probe.js";
import { postgresCheck } from "../../shared/probes/postgres-probe.js";
import { redisCheck } from "../../shared/probes/redis-probe.js";
import { tcpCheck } from "../../shared/probes/tcp-probe.js";
import { type AddressBook, rewriteContainerCommand } from "../addresses/address-rewrite.js";
import { explainRefusal } from "../ports/explain-refusal.js";
import { hideSecretWords } from "../secret-words.js";
import type { ManagedProcess, ProcessHost, ServiceUser } from "../types.js";
import { nativeTest } from "./container-commands.js";

export interface ProbeContext {
  service: string;
  provider: ProviderName | null;
  host: ProcessHost;
  process: ManagedProcess;
  user: ServiceUser;
  cwd: string;
  env: Record<string, string>;
  book: AddressBook;
  /** Connects to a port on which the service listens. */
  dial: Dial;
  /** Says which program has the port on which the service tried to listen; null when its output says no such thing. */
  conflict?(): Promise<string | null>;
  /** Known secret values. */
  secrets: readonly string[];
  /** Connection settings of the provider's server; null for apps. */
  access: { user: string; password: string; database: string } | { password: string | null } | null;
  /** Resolves argv[0] as the service's own command does. */
  resolve(argv: string[]): Promise<string[]>;
}

/**
 * The port on which the service really listens for a container port; a port that the ledger does not have is returned
 * unchanged.
 */
export const hostPort = (context: ProbeContext, containerPort: number): number =>
  context.book.hostPort(context.service, containerPort) ?? containerPort;

const firstPort = (context: ProbeContext): number => {
  const port = context.book.ports(context.service)[0];
  return port === undefined ? 0 : hostPort(context, port);
};

function commandIn(context: ProbeContext, argv: string[]) {
  return async (signal: AbortSignal): Promise<string> => {
    const { host, process, user, cwd, env } = context;
    const resolved = await context.resolve(argv).catch((error: Error) => {
      throw new CheckProgramMissing(error.message);
    });
    // The caller enforces the time limit; this one is a fallback.
    const words = hideSecretWords({ argv: resolved, env }, context.secrets);
    const command = { argv: words.argv, env: words.env, cwd, user };
    const result = await host.run({ ...command, signal, timeoutMs: 600_000, inside: process });
    return commandVerdict(result.exitCode ?? result.signal, result.output, argv);
  };
}

/** Rewrites `http://localhost:8000/x` in a shell command to the service's own host port. */
const ownAddresses = (context: ProbeContext, text: string): string =>
  text.replace(/(localhost|127\.0\.0\.1|0\.0\.0\.0):(\d{1,5})(?!\d)/g, (_whole, _name, port: string) => {
    return `127.0.0.1:${hostPort(context, Number(port))}`;
  });

/** Extends a refused connection with the address on which the service listens instead. */
async function explained(probe: Promise<ProbeResult>, context: ProbeContext, port: number): Promise<ProbeResult> {
  const result = await probe;
  if (result.healthy || !result.message.startsWith("connection refused")) return result;
  const { process, user } = context;
  const reason = (await context.conflict?.()) ?? (await explainRefusal(process, user, port));
  return reason === null ? result : { ...result, message: `${result.message}; ${reason}` };
}

export function probeService(
  context: ProbeContext,
  healthcheck: Healthcheck,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { test, timeoutMs } = healthcheck;
  const { dial } = context;
  const native = nativeTest(test, context.provider, context.service) ?? test;
  const run = (check: string, what: Parameters<typeof bounded>[3]) => bounded(check, timeoutMs, signal, what);
  switch (native.kind) {
    case "none":
      return run("none", async () => "no health check is defined; the process runs");
    case "http": {
      const port = hostPort(context, native.port);
      return explained(
        run(`http GET 127.0.0.1:${port}${native.path}`, httpCheck({ ...native, port, dial })),
        context,
        port,
      );
    }
    case "tcp": {
      const port = hostPort(context, native.port);
      return explained(run(`tcp 127.0.0.1:${port}`, tcpCheck(port, dial)), context, port);
    }
    case "postgres": {
      const port = firstPort(context);
      const access = context.access;
      if (access === null || !("user" in access)) {
        return run("postgres", async () => {
          throw new Error("a postgres check needs a service that runs postgres");
        });
      }
      return run(`postgres select 1 on 127.0.0.1:${port}/${access.database}`, postgresCheck({ ...access, port, dial }));
    }
    case "redis": {
      const port = firstPort(context);
      return run(
        `redis PING on 127.0.0.1:${port}`,
        redisCheck({ port, password: context.access?.password ?? null, dial }),
      );
    }
    case "cmd": {
      const argv = rewriteContainerCommand(native.argv, context.service, context.book).map((text) =>
        ownAddresses(context, text),
      );
      return run(`exec ${argv.join(" ")}`, commandIn(context, argv));
    }
    case "cmd-shell": {
      const command = ownAddresses(context, native.command);
      return run(`exec sh -c ${command}`, commandIn(context, ["/bin/sh", "-c", command]));
    }
  }
}
