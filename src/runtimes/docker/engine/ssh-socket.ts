/**
 * Connects to an engine over SSH through a private local socket. Each of its connections runs `docker system
 * dial-stdio` on the remote machine, as the Docker CLI does. It uses the user's own `ssh` with its configuration, agent
 * and known hosts.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { findProgram, withTrustedPath } from "../../../system/find-program.js";
import { listenPrivately } from "../../../system/private-socket.js";

export interface SshSocket {
  path: string;
  close(): Promise<void>;
}

/** Arguments of `ssh`. No part of the address can be interpreted as an option. */
export function sshArguments(host: string): string[] {
  const { username, hostname, port } = new URL(host);
  return [
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=10",
    ...(username === "" ? [] : ["-l", decodeURIComponent(username)]),
    ...(port === "" ? [] : ["-p", port]),
    "-T",
    "--",
    hostname.replace(/^\[|\]$/g, ""),
    "docker",
    "system",
    "dial-stdio",
  ];
}

/** @throws RUNTIME_UNAVAILABLE when there is no `ssh` */
export async function openSshSocket(host: string, env: NodeJS.ProcessEnv): Promise<SshSocket> {
  const program = await findProgram("ssh", { env });
  if (program === null)
    throw new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `The container engine at ${host} needs the program ssh, which is missing.`,
      {
        hint: "Install an OpenSSH client, or name an engine on this machine.",
      },
    );
  const trusted = await withTrustedPath(env);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const child = spawn(program, sshArguments(host), { env: trusted, stdio: ["pipe", "pipe", "ignore"] });
    open.add(socket);
    const end = (): void => {
      socket.destroy();
      child.kill("SIGKILL");
    };
    for (const part of [socket, child.stdin, child.stdout]) part.on("error", end);
    child.once("error", end);
    child.stdout.once("end", () => socket.end());
    child.once("exit", () => socket.end());
    socket.once("close", () => {
      open.delete(socket);
      child.kill("SIGKILL");
    });
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
  const folder = await mkdtemp(join(tmpdir(), "stackwarden-ssh-"));
  const path = join(folder, "engine.sock");
  await listenPrivately(server, path);
  server.unref();
  return {
    path,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
