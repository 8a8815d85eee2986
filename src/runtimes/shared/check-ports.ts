/** Determines which host ports a start would use now. Every port is free again afterwards. */
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
  const ledger = new PortLedger(requestsOf, holding);
  try {
    await ledger.apply(definition);
    return ledger.endpoints();
  } finally {
    await ledger.close();
  }
}
