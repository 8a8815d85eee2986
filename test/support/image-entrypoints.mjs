/** Entry points of the images that stand in for official ones. */

/** Starts the image's program for arguments that are options; Redis runs without protected mode. */
export const ENTRYPOINT = `#!/bin/sh
set -e
if [ "\${1#-}" != "$1" ]; then set -- "$DEFAULT_PROGRAM" "$@"; fi
if [ "$1" = redis-server ]; then set -- "$@" --protected-mode no; fi
exec "$@"
`;

/**
 * Initialises an empty data folder as its own user and starts the server, like the parts of the official script in use.
 */
export const POSTGRES_ENTRYPOINT = `#!/bin/sh
set -e
if [ "\${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ "$(id -u)" != 0 ] || { echo 'this stand-in initialises as its own user only' >&2; exit 1; }
  [ -n "$POSTGRES_PASSWORD" ] || { echo 'Error: Database is uninitialized and superuser password is not specified.' >&2; exit 1; }
  mkdir -p "$PGDATA"; chmod 700 "$PGDATA"
  umask 077; printf '%s\\n' "$POSTGRES_PASSWORD" > /tmp/.pw
  initdb --username="\${POSTGRES_USER:-postgres}" --pwfile=/tmp/.pw -A scram-sha-256 --no-sync --no-locale -E UTF8 -D "$PGDATA"
  rm /tmp/.pw
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  if [ "\${POSTGRES_DB:-postgres}" != postgres ]; then
    printf 'CREATE DATABASE "%s";\\n' "$POSTGRES_DB" | postgres --single -D "$PGDATA" postgres > /dev/null
  fi
fi
exec "$@"
`;
