/** Environment in which the server uses the test's programs instead of the machine's. */
const SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export const withStubPrograms = (bin: string): { PATH: string; STACKWARDEN_PROGRAM_DIRS: string } => ({
  PATH: `${bin}:${process.env.PATH}`,
  STACKWARDEN_PROGRAM_DIRS: `${bin}:${SYSTEM}`,
});
