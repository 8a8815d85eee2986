/** Official images whose servers the local runtime runs from this machine's programs, beside PostgreSQL and Redis. */
import { parseImageName } from "../../../stack/definition/image-name.js";
import { installCommand } from "../toolchain/install-command.js";

export type ServerName = "mysql" | "mariadb" | "memcached" | "mongo" | "rabbitmq" | "nginx" | "mailpit";

export interface ServerImage {
  /** Programs, the first one preferred. */
  programs: readonly string[];
  /** Ports on which the image's server listens. */
  ports: readonly number[];
  debian: string;
  brew: string;
  /** Where the image keeps its data. */
  data: readonly string[];
  /** Name in messages. */
  title: string;
}

export const SERVERS: Readonly<Record<ServerName, ServerImage>> = {
  mysql: {
    programs: ["mysqld", "mariadbd"],
    ports: [3306],
    debian: "mariadb-server",
    brew: "mysql",
    data: ["/var/lib/mysql"],
    title: "MySQL",
  },
  mariadb: {
    programs: ["mariadbd"],
    ports: [3306],
    debian: "mariadb-server",
    brew: "mariadb",
    data: ["/var/lib/mysql"],
    title: "MariaDB",
  },
  memcached: {
    programs: ["memcached"],
    ports: [11_211],
    debian: "memcached",
    brew: "memcached",
    data: [],
    title: "memcached",
  },
  mongo: {
    programs: ["mongod"],
    ports: [27_017],
    debian: "mongodb-org",
    brew: "mongodb-community",
    data: ["/data/db", "/data/configdb"],
    title: "MongoDB",
  },
  rabbitmq: {
    programs: ["/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"],
    ports: [5672, 15_672],
    debian: "rabbitmq-server",
    brew: "rabbitmq",
    data: ["/var/lib/rabbitmq"],
    title: "RabbitMQ",
  },
  nginx: { programs: ["nginx"], ports: [80], debian: "nginx-light", brew: "nginx", data: [], title: "nginx" },
  mailpit: {
    programs: ["mailpit"],
    ports: [1025, 8025],
    debian: "mailpit",
    brew: "mailpit",
    data: ["/data"],
    title: "Mailpit",
  },
};

const PATHS: Readonly<Record<string, ServerName>> = {
  mysql: "mysql",
  mariadb: "mariadb",
  memcached: "memcached",
  mongo: "mongo",
  rabbitmq: "rabbitmq",
  nginx: "nginx",
  "nginxinc/nginx-unprivileged": "nginx",
  "axllent/mailpit": "mailpit",
};

/** Matches official images only. */
export function serverOfImage(image: string): ServerName | null {
  const { path, onDockerHub } = parseImageName(image);
  return onDockerHub && Object.hasOwn(PATHS, path) ? (PATHS[path] as ServerName) : null;
}

/** The one command that installs a server on this platform. */
export function serverInstallCommand(name: ServerName, platform: NodeJS.Platform = process.platform): string {
  if (name === "mailpit" && platform !== "darwin") return "go install github.com/axllent/mailpit@latest";
  return installCommand(SERVERS[name], platform);
}
