/** Opens a stack: ports first, then the session with its engine, then the engine's host. On failure nothing is left. */

import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import type { OpenStackRequest } from "../../../stack/runtime.js";
import { removeStaged } from "../container/staging.js";
import { findCli } from "../engine/discovery.js";
import type { Engine } from "../engine/engines.js";
import { SDK_VERSION } from "../engine/versions.js";
import type { EngineHost, EngineHostOptions } from "../engine-host/types.js";
import { gatewaySession } from "../gateway/gateway-session.js";
import type { Gateway, GatewayOptions, GatewaySession } from "../gateway/types.js";
import type { OpenSession } from "../session/types.js";
import type { DaggerSettings } from "../settings.js";
import { sessionTunnels } from "../tunnel/session-tunnel.js";
import { openTunnels } from "../tunnel/tunnels.js";
import type { OpenTunnel } from "../tunnel/types.js";
import { DaggerStack } from "./dagger-stack.js";
import { throughGateway } from "./published-ports.js";

/** Components of an open stack; tests replace them. */
export interface DaggerParts {
  openSession: OpenSession;
  openEngineHost(options: EngineHostOptions): Promise<EngineHost>;
  openGateway(options: GatewayOptions): Gateway;
}

export interface OpenStackOptions {
  request: OpenStackRequest;
  engine: Engine;
  settings: DaggerSettings;
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
  parts: DaggerParts;
  /** Folder for a downloaded CLI. Absent: none is downloaded. */
  programs?: string;
  onClose(stack: DaggerStack): void;
}

const notYet = async (): Promise<never> => {
  throw new StackwardenError("RUNTIME_UNAVAILABLE", "The session is not open yet.", {
    hint: hint`Wait for ${callTo("start_stack")} to return.`,
  });
};

/** The installed CLI, else a downloaded one. */
async function cliPath({ request, settings, env, programs }: OpenStackOptions): Promise<string> {
  const cli = await findCli(env, programs);
  if ("path" in cli) return cli.path;
  const source = settings.cliSource ?? null;
  if (programs === undefined || source === null || cli.named)
    throw new StackwardenError("RUNTIME_UNAVAILABLE", cli.missing, {
      hint: `Install the Dagger CLI ${SDK_VERSION}, or have the operator choose another runtime; \`stackwarden doctor\` says more.`,
    });
  const { downloadCli } = await import("../engine/download.js");
  const { signal, notice } = request;
  return downloadCli({
    folder: programs,
    source,
    signal,
    retry: settings.retry,
    report: (message) => notice({ type: "installing", message }),
  });
}

/** @throws PORT_IN_USE, RUNTIME_UNAVAILABLE, UNSUPPORTED (version), the signal's reason */
export async function openStack(
  options: OpenStackOptions,
): Promise<{ stack: DaggerStack; capacity: { cpus: number; memory_mb: number } | null }> {
  const { request, engine, settings, env, warn, parts, onClose } = options;
  const { signal, notice } = request;
  const { runnerHost } = engine;
  const cli = await cliPath(options);
  await removeStaged(request.stateDir);
  let session: GatewaySession = { startGateway: notYet };
  let openTunnel: OpenTunnel = notYet;
  const gateway = parts.openGateway({
    session: { startGateway: (spec, until) => session.startGateway(spec, until) },
    project: request.projectId,
    image: settings.gatewayImage,
    notice,
    warn,
  });
  const ports = settings.tunnel
    ? openTunnels({
        project: request.projectId,
        openTunnel: (spec, until) => openTunnel(spec, until),
        notice,
        warn,
      })
    : throughGateway(gateway);
  try {
    await ports.reserve(request.definition);
    const opened = await parts.openSession({
      cli,
      runnerHost,
      workdir: request.folder,
      signal,
      env,
      warn: (message) => notice({ type: "warning", message }),
    });
    try {
      const host = await parts.openEngineHost({ runnerHost, warn, signal, env });
      if (host.enforcement.level !== "enforced")
        notice({ type: "warning", message: `Nothing enforces limits on this engine: ${host.enforcement.reason}` });
      session = gatewaySession({ session: opened, host, notice });
      openTunnel = sessionTunnels(opened);
      const stack = new DaggerStack(request, {
        session: opened,
        host,
        gateway,
        ports,
        runnerHost,
        env,
        retry: settings.retry,
        onClose,
      });
      if (signal.aborted) {
        await stack.close();
        signal.throwIfAborted();
      }
      return { stack, capacity: host.capacity };
    } catch (error) {
      await opened.close();
      throw error;
    }
  } catch (error) {
    await Promise.all([ports.close(), gateway.close()].map((closing) => closing.catch(() => undefined)));
    throw error;
  }
}
