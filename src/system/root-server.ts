/**
 * True on a server that runs as root. Only root can change the owner of files; any other server runs services as its
 * own user.
 */
export const isRootServer = (): boolean => process.getuid?.() === 0;
