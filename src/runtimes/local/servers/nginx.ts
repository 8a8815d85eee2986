/** nginx of the system with the project's configuration: its ports, names and paths become those of this machine. */
import { basename, join, posix } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { parseImageName } from "../../../stack/definition/image-name.js";
import type { BindMount } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { listBeneath } from "../../../system/list-beneath.js";
import { readRegularText, statBeneath } from "../../../system/read-regular-file.js";
import { type AddressBook, LOOPBACK, rewriteText } from "../addresses/address-rewrite.js";
import { ensureDir, writePrivateFile } from "../files/create.js";
import type { LaunchPlan, PrepareContext } from "../providers/launch-plan.js";
import { isOtherVersion, programVersion } from "../providers/program-version.js";
import { SERVICE_PATH } from "../toolchain/binaries.js";
import { requireServer } from "./find-server.js";

const MAIN = "/etc/nginx/nginx.conf";
const PARTS = "/etc/nginx/conf.d";
const TEMPLATES = "/etc/nginx/templates";
const HTML = "/usr/share/nginx/html";
/** Bytes of all files together. */
const MAX_BYTES = 1_048_576;
const MOST_FILES = 500;

interface ConfigFile {
  /** Path in the container. */
  path: string;
  text: string;
}

const filesOf = (binds: readonly BindMount[], at: string, folder: string): ConfigFile[] => {
  const files: ConfigFile[] = [];
  let remainingBytes = MAX_BYTES;
  const read = (path: string, source: string): void => {
    const text = readRegularText(source, { within: folder, maxBytes: remainingBytes });
    if (text === undefined) return;
    remainingBytes -= Buffer.byteLength(text);
    files.push({ path, text });
  };
  for (const { target, source } of binds) {
    if (!isBeneath(at, target) && !isBeneath(target, at)) continue;
    const kind = statBeneath(source, folder)?.kind;
    if (kind === "file" && isBeneath(at, target)) read(target, source);
    if (kind !== "folder") continue;
    const inner = isBeneath(target, at) ? posix.relative(target, at) : "";
    const place = join(source, inner);
    if (statBeneath(place, folder)?.kind === "file") read(at, place);
    else
      for (const name of listBeneath(place, folder, MOST_FILES) ?? [])
        if (statBeneath(join(place, name), folder)?.kind === "file")
          read(posix.join(target, inner, name), join(place, name));
  }
  return files;
};

/** Replaces `${NAME}` of defined variables, as the image does with its templates. */
const filled = (text: string, environment: Record<string, string>): string =>
  text.replace(
    /\$\{([A-Za-z_]\w*)\}|\$([A-Z_][A-Z0-9_]*)\b/g,
    (whole, braced, plain) => environment[braced ?? plain] ?? whole,
  );

interface Places {
  service: string;
  book: AddressBook;
  /** Paths of the container and of this machine. */
  paths: readonly { container: string; host: string }[];
}

/** A configuration for this machine, with a sentence for each address that its service does not have. */
interface RewrittenConfig {
  text: string;
  notes: string[];
}

/**
 * The configuration in terms of this machine. Every repetition is bounded: without the end of a directive, a pattern
 * would read the rest of the text once for each line.
 */
export function rewriteConfig(text: string, { service, book, paths }: Places): RewrittenConfig {
  const listening = text
    .replace(/^[ \t]*(?:user|pid|daemon|worker_rlimit_nofile)\s[^;]{0,500};/gm, "")
    .replace(/^([ \t]*)access_log\s{1,80}(?!off)[^;]{0,500};/gm, "$1access_log off;")
    .replace(/^([ \t]*)error_log\s{1,80}[^\s;]{1,500}([^;]{0,500});/gm, "$1error_log stderr$2;")
    .replace(/^[ \t]*listen\s{1,80}\[[^;]{0,500};/gm, "")
    .replace(/\blisten\s+(?:(?:\*|[\d.]+|localhost):)?(\d{1,5})\b/g, (_whole, port: string) => {
      const own = book.hostPort(service, Number(port));
      return own === undefined ? `listen ${LOOPBACK}:${port}` : `listen ${LOOPBACK}:${own}`;
    });
  const placed = withPaths(listening, paths);
  // Docker's name server does not exist here; addresses replace names.
  const named = placed.replace(/^[ \t]*resolver\s{1,80}127\.0\.0\.11\b[^;]{0,500};/gm, "");
  return otherPorts(rewriteText(named, service, book), book);
}

/** A path as an argument. */
const PATH = /(?<=[\s"'=])\/[^\s;"'=]{1,1024}/g;
const MOST_PARENTS = 64;

/** Replaces paths of the container, and what is below them. */
function withPaths(text: string, paths: Places["paths"]): string {
  const hosts = new Map(paths.map(({ container, host }) => [container, host]));
  return text.replace(PATH, (path, offset: number) => {
    const ends = /[\s;"']/.test(text[offset + path.length] ?? "");
    let end = path.length;
    for (let parents = 0; end > 0 && parents < MOST_PARENTS; parents += 1) {
      const host = end < path.length || ends ? hosts.get(path.slice(0, end)) : undefined;
      if (host !== undefined) return host + path.slice(end);
      end = path.lastIndexOf("/", end - 1);
    }
    return path;
  });
}

/** A port on which nothing listens. */
const CLOSED = 1;

const NAMED_SERVER = /((?:^|[\s;{])(?:server|\w+_pass)\s+(?:\w+:\/\/)?)([A-Za-z0-9][\w.-]*)(?::(\d{1,5}))?(?=[/;\s])/g;

/**
 * Replaces names of services with ports that they do not have. nginx does not start with a name that it cannot resolve; in
 * a container network the name resolves, and the connection is refused.
 */
function otherPorts(text: string, book: AddressBook): RewrittenConfig {
  const names = new Set(book.services());
  const notes = new Set<string>();
  const result = text.replace(NAMED_SERVER, (whole, before: string, name: string, port = "80") => {
    if (!names.has(name)) return whole;
    const own = book.ports(name);
    const isOpen = book.isSeparate === true || own.length === 0;
    const has = own.length === 0 ? "declares no port" : `has port ${own.join(", ")}`;
    notes.add(`Its configuration names ${name}:${port}, but ${name} ${has}: connections there may be refused.`);
    return `${before}${LOOPBACK}:${isOpen ? port : CLOSED}`;
  });
  return { text: result, notes: [...notes] };
}

const MAIN_TEXT = `worker_processes 1;
error_log stderr notice;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  sendfile on;
  keepalive_timeout 65;
  include ${PARTS}/*.conf;
}
`;
const DEFAULT_SERVER = `server {
  listen 80;
  location / { root ${HTML}; index index.html index.htm; }
}
`;

export async function prepareNginx(context: PrepareContext): Promise<LaunchPlan> {
  const { request, stack, book, base, tmp, user, home } = context;
  const { service } = request;
  const { folder } = stack;
  const program = await requireServer("nginx", context);
  const words = [...(service.entrypoint ?? []), ...(service.command ?? [])];
  const script = words.join(" ");
  if (words.length > 0 && !/\bnginx\b/.test(script))
    throw new StackwardenError(
      "UNSUPPORTED",
      `The local runtime cannot run the command of "${service.name}": ${script}.`,
      {
        hint: "Leave the command out, or use x-local.command.",
      },
    );
  const binds = service.mounts.filter((mount): mount is BindMount => mount.type === "bind");
  const outside = binds.find(({ source }) => !isBeneath(folder, source));
  if (outside !== undefined)
    throw new StackwardenError(
      "UNSUPPORTED",
      `The local runtime cannot mount ${outside.target} into "${service.name}".`,
      {
        hint: "Keep its files in the project's folder.",
      },
    );
  const config = await ensureDir(join(base, "nginx"), 0o711);
  const parts = await ensureDir(join(config, "conf.d"), 0o700, user);
  const isConfig = ({ target }: BindMount): boolean =>
    target === MAIN || isBeneath(PARTS, target) || isBeneath(TEMPLATES, target);
  const paths = [
    { container: PARTS, host: parts },
    ...binds
      .filter((one) => !isConfig(one))
      .map(({ target, source }) => ({ container: target.replace(/(.)\/$/, "$1"), host: source })),
  ].sort((a, b) => b.container.length - a.container.length);
  const places = { service: service.name, book, paths };
  const templates = filesOf(binds, TEMPLATES, folder)
    .filter(({ path }) => path.endsWith(".template"))
    .map(({ path, text }) => ({
      path: `${PARTS}/${basename(path, ".template")}`,
      text: filled(text, service.environment),
    }));
  const own = [...filesOf(binds, PARTS, folder), ...templates].filter(({ path }) => path.endsWith(".conf"));
  const main = filesOf(binds, MAIN, folder).find(({ path }) => path === MAIN);
  const all = own.length > 0 || main !== undefined ? own : [{ path: `${PARTS}/default.conf`, text: DEFAULT_SERVER }];
  const notes = new Set(["Its access log is not kept: the local runtime keeps nginx's error log."]);
  const rewrite = (config: string): string => {
    const rewritten = rewriteConfig(config, places);
    for (const note of rewritten.notes) notes.add(note);
    return rewritten.text;
  };
  for (const { path, text } of all) await writePrivateFile(join(parts, basename(path)), rewrite(text), user);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${join(tmp, name)};`,
  );
  const text = rewrite(main?.text ?? MAIN_TEXT).replace(
    /\bhttp\s*\{/,
    (whole) => `${whole}\n  ${temporary.join(" ")} access_log off;`,
  );
  const file = await writePrivateFile(
    join(config, "nginx.conf"),
    `pid ${join(tmp, "nginx.pid")};\ndaemon off;\n${text}`,
    user,
  );
  const version = await programVersion(program, context, "-v");
  const { image } = service;
  if (image !== undefined && version !== null && isOtherVersion(parseImageName(image).tag, version))
    notes.add(`Runs nginx ${version} instead of ${image}.`);
  return {
    argv: [program, "-e", "stderr", "-p", tmp, "-c", file],
    cwd: tmp,
    env: { PATH: SERVICE_PATH.join(":"), LANG: "C.UTF-8", HOME: home, TMPDIR: tmp },
    commandEnv: { ...service.environment },
    notes: [...notes],
    emptyVolumes: [],
    access: null,
    stopSignal: "SIGQUIT",
    resolve: async (argv) => argv,
  };
}
