/** Runs the gateway in a session: a small service with limits, started like any other. */

import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import type { Container, NetworkProtocol } from "@dagger.io/dagger";
import { changedError, StackwardenError } from "../../../errors.js";
import type { RuntimeNotice } from "../../../stack/runtime.js";
import { heldEnd } from "../../../stack/text/sanitize-text.js";
import { raceAbort } from "../../../system/wait.js";
import { startError } from "../engine/engine-errors.js";
import { type EngineHost, INSTANCE_VARIABLE } from "../engine-host/types.js";
import { newTrace } from "../session/trace.js";
import type { DaggerSession } from "../session/types.js";
import type { GatewayService, GatewayServiceSpec, GatewaySession } from "./types.js";

const NAME = "the gateway";
/** Milliseconds for a stop, after which the gateway is killed. */
const STOP_MS = 3000;

/** The image is a server setting, so that the hint addresses the operator. */
const ofTheOperator = (error: unknown, image: string): unknown =>
  error instanceof StackwardenError && error.code === "SERVICE_START_FAILED"
    ? changedError(error, {
        hint: `${image} is the server's setting gateway_image: an image that must have node 18 or later.`,
      })
    : error;

export interface GatewaySessionOptions {
  session: DaggerSession;
  host: EngineHost;
  notice(notice: RuntimeNotice): void;
}

export function gatewaySession({ session, host, notice }: GatewaySessionOptions): GatewaySession {
  const container = async (spec: GatewayServiceSpec, signal: AbortSignal, instance: string): Promise<Container> => {
    const client = session.client({ signal });
    const file = posix.basename(spec.script.path);
    const script = client.directory().withNewFile(file, spec.script.text, { permissions: 0o444 }).file(file);
    const { hostname, frontend, backend } = spec.host;
    const tcp = "TCP" as NetworkProtocol;
    const ours = client.host().service([{ frontend, backend, protocol: tcp }], { host: "127.0.0.1" });
    const image = await client.container().from(spec.image).sync();
    let definition = image
      .withMountedFile(spec.script.path, script)
      .withUser(spec.user)
      .withServiceBinding(hostname, ours)
      .withoutDockerHealthcheck();
    // The engine would wait for the image's exposed ports, on which the gateway never listens.
    for (const one of await image.exposedPorts()) {
      const [port, protocol] = await Promise.all([one.port(), one.protocol()]);
      definition = definition.withoutExposedPort(port, { protocol });
    }
    for (const [name, value] of Object.entries(spec.secretEnvironment))
      definition = definition.withSecretVariable(name, client.setSecret(`${instance}.${name}`, value));
    return definition.withEnvVariable(INSTANCE_VARIABLE, instance);
  };

  /** The gateway works without limits; the operator gets a warning. */
  const limit = async (spec: GatewayServiceSpec, instance: string, over: AbortSignal): Promise<void> => {
    if (host.enforcement.level !== "enforced") return;
    try {
      await host.apply(await host.find(instance, over), spec.limits);
    } catch (error) {
      if (!over.aborted)
        notice({ type: "warning", message: `The gateway runs without limits: ${(error as Error).message}` });
    }
  };

  return {
    async startGateway(spec, signal): Promise<GatewayService> {
      const trace = newTrace();
      const instance = randomBytes(12).toString("hex");
      const over = new AbortController();
      let words = "";
      let settle: (end: { reason: string }) => void = () => {};
      const ended = new Promise<{ reason: string }>((resolve) => {
        settle = resolve;
      });
      const forget = session.telemetry.listen(trace.traceId, {
        output: (_stream, chunk) => {
          words = heldEnd(words + Buffer.from(chunk).toString());
        },
        exited: ({ exitCode }) =>
          settle({ reason: `it ended with code ${exitCode ?? "unknown"}${words === "" ? "" : `: ${words.trim()}`}` }),
      });
      void ended.then(() => {
        over.abort();
        forget();
      });
      const onSessionEnd = () => settle({ reason: "the session ended" });
      session.ended.addEventListener("abort", onSessionEnd, { once: true });
      try {
        const image = await (await container(spec, signal, instance)).sync();
        const id = await session
          .client({ trace, signal })
          .loadContainerFromID((await image.id()) as never)
          .asService({ args: spec.args })
          .id();
        const service = session.client({ trace }).loadServiceFromID(id as never);
        await raceAbort(service.start(), signal);
        void limit(spec, instance, over.signal);
        const stop = async (): Promise<void> => {
          const stopping = service.stop().catch(() => undefined);
          const timer = setTimeout(() => void service.stop({ kill: true }).catch(() => undefined), STOP_MS);
          await Promise.race([stopping, ended]);
          clearTimeout(timer);
          settle({ reason: "it was stopped" });
        };
        if (signal.aborted) {
          await stop();
          signal.throwIfAborted();
        }
        return { ended, stop };
      } catch (error) {
        settle({ reason: "it did not start" });
        signal.throwIfAborted();
        throw ofTheOperator(startError(error, NAME, `starting it from ${spec.image}`), spec.image);
      } finally {
        if (session.ended.aborted) onSessionEnd();
      }
    },
  };
}
