/** Parses image names and maps official images to the local runtime's providers. */

export type ProviderName = "postgres" | "redis";

export interface ImageName {
  /** Without registry, tag and digest: `valkey/valkey`, `postgres`; `library/` of Docker's official images is left out. */
  path: string;
  /** The last part of the path. */
  name: string;
  tag: string | null;
  /** Published by Docker's official images, or under this path on Docker Hub. */
  onDockerHub: boolean;
}

const DOCKER_HUB = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);
/** Copies of Docker's official images, by the prefix of their path. */
const OFFICIAL_COPIES = ["public.ecr.aws/docker/", "mirror.gcr.io/"];
/** A first path segment with a dot or a port, or `localhost`, is a registry. */
const REGISTRY = /^(?:localhost|[^/]*[.:][^/]*)\//;

/** `docker.io/library/postgres:15-alpine@sha256:…`: path `postgres`, tag `15-alpine`, on Docker Hub. */
export function parseImageName(image: string): ImageName {
  const [withTag = ""] = image.split("@");
  const slash = withTag.lastIndexOf("/");
  const colon = withTag.indexOf(":", slash + 1);
  const full = colon < 0 ? withTag : withTag.slice(0, colon);
  const copy = OFFICIAL_COPIES.find((prefix) => full.startsWith(`${prefix}library/`));
  const registry = REGISTRY.exec(full)?.[0] ?? "";
  const onDockerHub = registry === "" || DOCKER_HUB.has(registry.slice(0, -1)) || copy !== undefined;
  const path = full.slice((copy ?? registry).length).replace(/^library\//, "");
  return {
    path,
    name: path.slice(path.lastIndexOf("/") + 1),
    tag: colon < 0 ? null : withTag.slice(colon + 1),
    onDockerHub,
  };
}

/** Official images whose servers the local runtime runs from this machine's packages. */
const PROVIDERS: Readonly<Record<string, ProviderName>> = {
  postgres: "postgres",
  "pgvector/pgvector": "postgres",
  redis: "redis",
  "valkey/valkey": "redis",
};

/** Matches official images only: the contents of `acme/postgres` or `ghcr.io/x/redis` are unknown. */
export function providerOfImage(image: string): ProviderName | null {
  const { path, onDockerHub } = parseImageName(image);
  return onDockerHub && Object.hasOwn(PROVIDERS, path) ? (PROVIDERS[path] as ProviderName) : null;
}

/** The provider that an unofficial image resembles by its name. Used for a hint only. */
export function resemblesProvider(image: string): ProviderName | null {
  const { name } = parseImageName(image);
  if (/postgres/.test(name)) return "postgres";
  return /^(?:redis|valkey)/.test(name) ? "redis" : null;
}

/** `node` or `python` for the official image of that language; null for other images. */
export function languageOfImage(image: string): "node" | "python" | null {
  const { path, onDockerHub } = parseImageName(image);
  return onDockerHub && (path === "node" || path === "python") ? path : null;
}
