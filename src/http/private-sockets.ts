/** Connections over a socket file that only the user of the server can open (mode 0600). */
import type { Socket } from "node:net";

const sockets = new WeakSet<Socket>();

export const markPrivate = (socket: Socket): void => {
  sockets.add(socket);
};

export const isPrivate = (socket: Socket): boolean => sockets.has(socket);
