/**
 * Images that start as root and drop it in their entrypoint. Stackwarden starts them as the user that they drop to, with
 * the folders that root would otherwise prepare.
 */
import { parseImageName } from "../../stack/definition/image-name.js";

interface OfficialImage {
  /** User of the image's /etc/passwd. Absent: the image runs as any user once its folders are writable. */
  user?: string;
  /** Empty folders of the image in which only root can write; they become temporary file systems. */
  folders?: readonly string[];
  /** Folders that are empty once the service mounts something at the path of the key. */
  foldersWith?: Readonly<Record<string, readonly string[]>>;
}

const WWW: OfficialImage = { user: "www-data" };
const POSTGRES: OfficialImage = { user: "postgres" };
const MYSQL: OfficialImage = { user: "mysql" };

/** By the last part of the image's path: copies of an official image have the same content. */
const IMAGES: Readonly<Record<string, OfficialImage>> = {
  postgres: POSTGRES,
  postgis: POSTGRES,
  pgvector: POSTGRES,
  timescaledb: POSTGRES,
  mysql: MYSQL,
  mariadb: MYSQL,
  redis: { user: "redis" },
  valkey: { user: "valkey" },
  memcached: { user: "memcache" },
  mongo: { user: "mongodb" },
  cassandra: { user: "cassandra" },
  couchdb: { user: "couchdb" },
  neo4j: { user: "neo4j" },
  influxdb: { user: "influxdb" },
  telegraf: { user: "telegraf" },
  clickhouse: { user: "clickhouse" },
  "clickhouse-server": { user: "clickhouse" },
  rabbitmq: { user: "rabbitmq" },
  zookeeper: { user: "zookeeper" },
  "eclipse-mosquitto": { user: "mosquitto" },
  consul: { user: "consul" },
  node: { user: "node" },
  ghost: { user: "node" },
  nginx: {
    user: "nginx",
    folders: ["/var/cache/nginx", "/run"],
    // The entrypoint writes the result of the templates there.
    foldersWith: { "/etc/nginx/templates": ["/etc/nginx/conf.d"] },
  },
  httpd: { user: "www-data", folders: ["/usr/local/apache2/logs"] },
  caddy: { folders: ["/data", "/config"] },
  php: WWW,
  wordpress: WWW,
  nextcloud: WWW,
  drupal: WWW,
  joomla: WWW,
  matomo: WWW,
  mediawiki: WWW,
  phpmyadmin: WWW,
  redmine: { user: "redmine" },
};

/** The unprivileged user of an image that would start as root; undefined for an image that is not known. */
export function ownUser(image: string): string | undefined {
  const { name } = parseImageName(image);
  return Object.hasOwn(IMAGES, name) ? IMAGES[name]?.user : undefined;
}

/**
 * Folders that an official image writes to with root privileges, which its entrypoint has.
 * @param targets of the service's own mounts
 */
export function writableFolders(image: string | undefined, targets: readonly string[]): string[] {
  if (image === undefined) return [];
  const { path, onDockerHub } = parseImageName(image);
  const official = onDockerHub && Object.hasOwn(IMAGES, path) ? IMAGES[path] : undefined;
  const more = Object.entries(official?.foldersWith ?? {}).flatMap(([target, folders]) =>
    targets.some((one) => one === target || one.startsWith(`${target}/`)) ? folders : [],
  );
  return [...(official?.folders ?? []), ...more].filter((folder) => !targets.includes(folder));
}
