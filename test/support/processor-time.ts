/**
 * Starts a clock of the processor time that this process uses, which other work on the machine does not change, unlike
 * elapsed time.
 * @returns reads the clock, in ms
 */
export function processorClock(): () => number {
  const begin = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1000;
  };
}
