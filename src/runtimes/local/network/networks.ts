/** The networks of a server's stacks: whether this machine supports them, and those that are open. */
import { StackwardenError } from "../../../errors.js";
import type { Enforcement } from "../../../stack/runtime.js";
import { firstFile } from "../process/find-sandbox.js";
import type { Sandbox } from "../process/sandbox-host.js";
import type { NetworkChoice } from "../types.js";
import { NetworkNamespace, type NetworkOptions, type NetworkTools } from "./namespace.js";

/** The network of stacks without a separate one. */
export const SHARED_NETWORK: Enforcement = {
  level: "none",
  reason:
    "Services listen on 127.0.0.1 only, but share it: services of other projects and local users can reach them and are kept out by passwords alone.",
};

/** The trusted programs; a string says why there are none. */
function findTools({ enforcement, users }: Pick<Sandbox, "enforcement" | "users">): NetworkTools | string {
  if (enforcement.level !== "enforced") return enforcement.reason;
  const [unshare, nsenter, pasta] = ["unshare", "nsenter", "pasta"].map(firstFile);
  if (!unshare || !nsenter) return "unshare and nsenter of util-linux are not installed";
  if (!pasta) return "pasta is not installed (Debian package passt)";
  return { unshare, nsenter, pasta, users };
}

export class Networks {
  readonly #open = new Set<NetworkNamespace>();
  readonly #tools: NetworkTools | string;
  /** Why the last attempt failed; null after a success; undefined before the first. */
  #failure: string | null | undefined;
  /** The attempt of callers that ask before any stack has a network. */
  #observation: Promise<void> | undefined;
  #closing = false;

  constructor(
    private readonly choice: NetworkChoice,
    sandbox: Pick<Sandbox, "enforcement" | "users">,
    private readonly warn: (message: string) => void,
    private readonly watching: Pick<NetworkOptions, "watch" | "unwatch">,
  ) {
    this.#tools = choice === "shared" ? "the setting local_network is shared" : findTools(sandbox);
  }

  /**
   * @returns null when stacks share the machine's network
   * @throws UNSUPPORTED when the operator requires separate networks
   */
  async open(): Promise<NetworkNamespace | null> {
    const tools = this.#tools;
    if (typeof tools === "string") return this.#without(tools);
    if (this.#closing) return null;
    try {
      const network = await NetworkNamespace.open({ tools, ...this.watching });
      this.#failure = null;
      this.#open.add(network);
      void network.closed.then(() => this.#open.delete(network));
      return network;
    } catch (error) {
      const { message } = error as Error;
      if (this.#failure !== message && this.choice !== "isolated")
        this.warn(`Stacks share the machine's network: ${message}`);
      this.#failure = message;
      return this.#without(message);
    }
  }

  #without(reason: string): null {
    if (this.choice !== "isolated") return null;
    throw new StackwardenError("UNSUPPORTED", `Stacks cannot have separate networks here: ${reason}.`, {
      hint: "Install what is missing, or set local_network to auto.",
    });
  }

  /** The kind of network that stacks get, detected by opening one. */
  async enforcement(): Promise<Enforcement> {
    if (this.#failure === undefined && typeof this.#tools !== "string") {
      this.#observation ??= this.open().then(
        (network) => network?.close(),
        () => undefined,
      );
      await this.#observation;
    }
    const reason = typeof this.#tools === "string" ? this.#tools : this.#failure;
    return reason === null
      ? {
          level: "enforced",
          reason:
            "Each stack has a separate network: its services cannot connect to services of other stacks, and only published ports can be reached from this machine. Outgoing connections are not restricted.",
        }
      : { level: "none", reason: `${SHARED_NETWORK.reason} Stacks have no separate networks: ${reason}.` };
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#open].map((network) => network.close()));
  }
}
