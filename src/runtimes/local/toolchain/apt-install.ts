import { isRootServer } from "../../../system/root-server.js";

/** The command by which the server's user installs Debian packages. */
export const aptInstall = (packages: string): string =>
  `${isRootServer() ? "" : "sudo "}apt-get install -y --no-install-recommends ${packages}`;
