/** Reports connections that the server closes at its limit: to a client, the service seems to close them. */

/** A client that is refused often tries again at once. */
const QUIET_MS = 60_000;

/**
 * @param serviceOn the service behind a host port
 * @param report called at most once a minute for each service
 * @returns a function to call for each closed connection
 */
export function refusedConnections(
  serviceOn: (port: number) => string | undefined,
  report: (service: string, message: string) => void,
): (port: number, limit: number) => void {
  const reported = new Map<string, number>();
  return (port, limit) => {
    const service = serviceOn(port);
    const now = performance.now();
    if (service === undefined || now - (reported.get(service) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return;
    reported.set(service, now);
    report(
      service,
      `New connections to ${service} are closed: the server already forwards ${limit} connections to published ports of its stacks, the limit. Close connections that are not needed.`,
    );
  };
}
