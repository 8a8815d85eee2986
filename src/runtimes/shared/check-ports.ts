/** Determines which host ports a start would use now. Each port is held only while it is tried. */
import type { StackDefinition } from "../../stack/definition/types.js";
import type { Endpoint } from "../../stack/runtime.js";
import type { Holding } from "./port-holder.js";
import { PortLedger, type RequestsOf } from "./port-ledger.js";

/**
 * @returns the published addresses
 * @throws PORT_IN_USE with every busy port, its owner and free ones; UNSUPPORTED for a port that cannot be used
 */
export async function checkPorts(
  definition: StackDefinition,
  requestsOf: RequestsOf,
  holding: Holding = {},
): Promise<Endpoint[]> {
  const ledger = new PortLedger(requestsOf, holding, true);
  try {
    await ledger.apply(definition);
    return ledger.endpoints();
  } finally {
    await ledger.close();
  }
}
