import { isRootServer } from "../../../system/root-server.js";

/** The packages that provide a program: of Debian, and of Homebrew. */
export interface Packages {
  debian: string;
  brew: string;
}

export const REDIS: Packages = { debian: "redis-server", brew: "redis" };
export const PYTHON: Packages = { debian: "python3-venv", brew: "python" };
export const NPM: Packages = { debian: "npm", brew: "node" };
export const PSQL: Packages = { debian: "postgresql-client", brew: "libpq && brew link --force libpq" };
export const MARIADB_CLIENT: Packages = { debian: "mariadb-client", brew: "mariadb" };

/** The command by which the server's user installs the packages: macOS's on macOS, else Debian's. */
export const installCommand = ({ debian, brew }: Packages, platform: NodeJS.Platform = process.platform): string =>
  platform === "darwin"
    ? `brew install ${brew}`
    : `${isRootServer() ? "" : "sudo "}apt-get install -y --no-install-recommends ${debian}`;
