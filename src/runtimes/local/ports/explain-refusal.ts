/** Explains a refused connection: where the service listens instead of its port. */
import { sessionOf } from "../../../system/process-identity.js";
import { isRootServer } from "../../../system/root-server.js";
import { owners, type PortOwner } from "../../shared/port-owner.js";
import type { ManagedProcess, ServiceUser } from "../types.js";

/** Maximum number of addresses in the explanation; more add little. */
const MOST_ADDRESSES = 3;

async function ownSockets(process: Pick<ManagedProcess, "pid">, user: Pick<ServiceUser, "uid">): Promise<PortOwner[]> {
  // On a root server, every service has its own user.
  const sameUser = await owners(({ uid }) => uid === user.uid, { netDir: `/proc/${process.pid}/net` });
  if (isRootServer()) return sameUser;
  // A service starts as the leader of a session, which its processes share.
  return sameUser.filter(({ pid }) => pid !== null && sessionOf(pid) === process.pid);
}

const address = ({ address: { family, loopback }, port }: PortOwner): string => {
  if (family === 4) return `${loopback ? "127.0.0.1" : "0.0.0.0"}:${port}`;
  return `${loopback ? "[::1]" : "[::]"}:${port}`;
};

/** @returns the correction to make, or null when the service listens on no other address */
export async function explainRefusal(
  process: Pick<ManagedProcess, "pid">,
  user: Pick<ServiceUser, "uid">,
  port: number,
): Promise<string | null> {
  const sockets = await ownSockets(process, user);
  if (sockets.some((one) => one.port === port && one.address.family === 6 && one.address.loopback))
    return `it listens on [::1]:${port} only; let it listen on 127.0.0.1 (HOST in its environment, {host} in x-local.command)`;
  const elsewhere = [...new Set(sockets.map(address))].slice(0, MOST_ADDRESSES);
  if (elsewhere.length === 0) return null;
  return `it listens on ${elsewhere.join(", ")} instead; configure it to listen on the port in PORT of its environment, or on {port} of x-local.command`;
}
