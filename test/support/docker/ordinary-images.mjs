/**
 * Stand-ins for the images of ordinary projects: the common root file system with this machine's programs that their
 * Dockerfiles and entrypoints use. Their installers reach the registries that this machine reaches.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BASE, instructionsOf, libraries, makeImages, must, passwdLine, tar } from "./images.mjs";

const LAYER = "localhost/ordinary:latest";
const GO = "/usr/local/go";
const USERS = { nginx: 101, mysql: 998 };
const CERTIFICATES = "etc/ssl/certs/ca-certificates.crt";

const NGINX = `worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr;
events {}
http {
  include mime.types;
  access_log /dev/stdout;
  client_body_temp_path /var/cache/nginx/client;
  proxy_temp_path /var/cache/nginx/proxy;
  fastcgi_temp_path /var/cache/nginx/fastcgi;
  uwsgi_temp_path /var/cache/nginx/uwsgi;
  scgi_temp_path /var/cache/nginx/scgi;
  include conf.d/*.conf;
}
`;

/** The parts of the official script that the projects use. */
const MYSQL = `#!/bin/sh
set -e
if [ ! -d /var/lib/mysql/mysql ]; then
  mariadb-install-db --user=mysql --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db > /dev/null
  {
    echo "CREATE DATABASE IF NOT EXISTS $MYSQL_DATABASE; USE $MYSQL_DATABASE;"
    for file in /docker-entrypoint-initdb.d/*.sql; do [ -f "$file" ] && cat "$file"; done
    echo "FLUSH PRIVILEGES; CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';"
    echo "GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%'; ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';"
  } | tr '\\n' ' ' | sed 's/; */;\\n/g' > /tmp/init.sql
  set -- "$@" --init-file=/tmp/init.sql
fi
exec "$@"
`;

const POSTGRES = `#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  chmod 700 "$PGDATA"
  printf '%s\\n' "$POSTGRES_PASSWORD" > /tmp/.pw
  initdb --username="\${POSTGRES_USER:-postgres}" --pwfile=/tmp/.pw -A trust --no-sync -E UTF8 --no-locale $POSTGRES_INITDB_ARGS -D "$PGDATA"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  export POSTGRES_DB="\${POSTGRES_DB:-\${POSTGRES_USER:-postgres}}" POSTGRES_USER="\${POSTGRES_USER:-postgres}"
  [ "$POSTGRES_DB" = postgres ] || printf 'CREATE DATABASE "%s";\\n' "$POSTGRES_DB" | postgres --single -D "$PGDATA" postgres > /dev/null
  if [ -d /docker-entrypoint-initdb.d ]; then
    export PGHOST=/run/postgresql
    pg_ctl -w -D "$PGDATA" -o "-c listen_addresses='' -k $PGHOST" start
    for file in /docker-entrypoint-initdb.d/*; do
      case "$file" in
        *.sql) psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -f "$file" ;;
        *.sh) . "$file" ;;
      esac
    done
    pg_ctl -w -D "$PGDATA" -m fast stop
  fi
fi
exec "$@"
`;

const python = ['CMD ["python3"]'];
const node = instructionsOf("node:20-alpine");
const redis = instructionsOf("redis:7-alpine");
const postgres = [
  "ENV PGDATA=/var/lib/postgresql/data",
  "VOLUME /var/lib/postgresql/data",
  "STOPSIGNAL SIGINT",
  'ENTRYPOINT ["ordinary-postgres.sh"]',
  'CMD ["postgres", "-k", "/run/postgresql"]',
];

/** @type {Record<string, string[]>} */
const IMAGES = {
  "python:3-slim": python,
  "python:3.11": python,
  "python:3.11-slim": python,
  "python:3.12-slim": python,
  "node:18-alpine": node,
  "node:20-alpine": node,
  "node:20-slim": node,
  "node:22-alpine": node,
  "redis:7": redis,
  "redis:7-alpine": redis,
  "postgres:15": postgres,
  "postgres:15-alpine": postgres,
  "postgres:16": postgres,
  "nginx:alpine": ["EXPOSE 80", "STOPSIGNAL SIGQUIT", `CMD ["nginx", "-g", "daemon off;"]`],
  "mysql:8.0": [
    "VOLUME /var/lib/mysql",
    "EXPOSE 3306",
    'ENTRYPOINT ["ordinary-mysql.sh"]',
    'CMD ["mariadbd", "--datadir=/var/lib/mysql", "--pid-file=/tmp/mysqld.pid", "--bind-address=0.0.0.0"]',
  ],
  "golang:1.22-alpine": [`ENV PATH=${GO}/bin:/usr/bin:/bin GOPATH=/go GOTOOLCHAIN=local`],
  "gcr.io/distroless/static:latest": [],
};

/** @param {string} command @param {...string} words */
const output = (command, ...words) => execFileSync(command, words, { encoding: "utf8" }).trim();

/** @param {string} root */
function addTools(root) {
  const write = (/** @type {string} */ path, /** @type {string} */ text, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  const program = (/** @type {string} */ name) => {
    const { status, stdout } = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" });
    return status === 0 ? realpathSync(stdout.trim()) : null;
  };
  const binaries = ["curl", "nginx", "mariadbd", "mysqladmin", "mysql", "my_print_defaults", "resolveip"]
    .map((name) => [name, program(name)])
    .filter((entry) => entry[1] !== null);
  // Debian's psql is a wrapper.
  const psql = spawnSync("sh", ["-c", "ls /usr/lib/postgresql/*/bin/psql"], { encoding: "utf8" }).stdout.split("\n")[0];
  if (psql) binaries.push(["psql", psql]);
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  for (const [name, path] of binaries) execFileSync("cp", ["-aL", String(path), join(root, "usr/bin", String(name))]);
  for (const library of libraries(binaries.map(([, path]) => String(path)))) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    execFileSync("cp", ["-aL", library, join(root, library)]);
  }
  if (existsSync("/usr/share/mysql")) cpSync("/usr/share/mysql", join(root, "usr/share/mysql"), { recursive: true });
  const install = program("mariadb-install-db");
  if (install !== null) write("usr/bin/mariadb-install-db", readFileSync(install, "utf8"), 0o755);
  if (existsSync("/etc/nginx/mime.types")) write("etc/nginx/mime.types", readFileSync("/etc/nginx/mime.types", "utf8"));
  mkdirSync(join(root, "usr/sbin"), { recursive: true });
  symlinkSync("../bin/mariadbd", join(root, "usr/sbin/mariadbd"));
  write("etc/nginx/nginx.conf", NGINX);
  write("usr/bin/ordinary-mysql.sh", MYSQL, 0o755);
  write("usr/bin/ordinary-postgres.sh", POSTGRES, 0o755);
  // The stand-ins need no system packages of the projects.
  write("usr/bin/apt-get", "#!/bin/sh\nexit 0\n", 0o755);
  write("usr/bin/pip", '#!/bin/sh\nexec python3 -m pip "$@"\n', 0o755);
  for (const folder of ["var/lib/mysql", "var/cache/nginx", "var/log/nginx", "var/lib/nginx", "usr/share/nginx/html"])
    mkdirSync(join(root, folder), { recursive: true });
  const bundled = output(
    "python3",
    "-c",
    "import ensurepip, glob, os; print(glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled', 'pip-*.whl'))[0])",
  );
  const packages = join(root, output("python3", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"));
  mkdirSync(packages, { recursive: true });
  execFileSync("python3", ["-m", "zipfile", "-e", bundled, packages]);
  const bundle = process.env.SSL_CERT_FILE ?? `/${CERTIFICATES}`;
  if (existsSync(bundle)) write(CERTIFICATES, readFileSync(bundle, "utf8"));
  const corepack = program("corepack");
  if (corepack !== null) {
    const folder = dirname(dirname(corepack));
    cpSync(folder, join(root, "usr/lib/node_modules/corepack"), { recursive: true, verbatimSymlinks: true });
    symlinkSync("../lib/node_modules/corepack/dist/corepack.js", join(root, "usr/bin/corepack"));
  }
}

/**
 * @param {string} socket
 * @param {string} tag
 * @param {string[]} lines of the Dockerfile
 * @param {(root: string) => void} [fill] puts files into `root` of the context
 */
async function build(socket, tag, lines, fill) {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-ordinary-"));
  try {
    mkdirSync(join(folder, "root"), { mode: 0o755 });
    fill?.(join(folder, "root"));
    writeFileSync(join(folder, "Dockerfile"), `${lines.join("\n")}\n`);
    await must(socket, "POST", `/build?t=${encodeURIComponent(tag)}&forcerm=1`, tar(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} socket
 * @param {string[]} [names] default all whose programs this machine has
 */
export async function makeOrdinaryImages(socket, names = Object.keys(IMAGES)) {
  await makeImages(socket, []);
  const home = output("python3", "-c", "import sys; print(sys.base_prefix)");
  const users = Object.entries(USERS).map(([name, id]) => passwdLine(name, id));
  const groups = Object.entries(USERS).map(([name, id]) => `${name}:x:${id}:`);
  const variables = [
    `PYTHONHOME=${home}`,
    // A mirror of the registry may lack its signatures.
    "COREPACK_INTEGRITY_KEYS=0",
    `PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:${home}/bin`,
    ...["PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"].map(
      (name) => `${name}=/${CERTIFICATES}`,
    ),
    ...["PIP_INDEX_URL", "npm_config_registry", "GOPROXY", "GOFLAGS"].flatMap((name) =>
      process.env[name] === undefined ? [] : [`${name}=${process.env[name]}`],
    ),
  ];
  await build(
    socket,
    LAYER,
    [
      `FROM ${BASE}`,
      "COPY root /",
      `RUN printf '%s\\n' ${users.map((line) => `'${line}'`).join(" ")} >> /etc/passwd && printf '%s\\n' ${groups.map((line) => `'${line}'`).join(" ")} >> /etc/group && mkdir -p /run/mysqld && chown mysql /var/lib/mysql /run/mysqld && chmod 1777 /var/log/nginx /var/lib/nginx`,
      `ENV ${variables.join(" ")}`,
    ],
    addTools,
  );
  for (const name of names) {
    const go = name.startsWith("golang") && existsSync(GO);
    await build(
      socket,
      name,
      [`FROM ${LAYER}`, ...(go ? [`COPY root${GO} ${GO}`] : []), ...(IMAGES[name] ?? [])],
      (root) => {
        if (!go) return;
        mkdirSync(join(root, dirname(GO)), { recursive: true });
        execFileSync("cp", ["-a", GO, join(root, GO)]);
      },
    );
  }
}
