/** A registry (OCI distribution) with one image on this machine. It can be busy, and require a password. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";

export interface TestRegistry {
  /** Name of the image, with the registry's host. */
  image: string;
  host: string;
  /** Number of further requests that are answered with 503. */
  busyFor(requests: number): void;
  requirePassword(user: string, password: string): void;
  requests: string[];
  close(): Promise<void>;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function layerOf(files: Record<string, { bytes: Buffer; mode?: number }>): Promise<Buffer> {
  const archive = pack();
  for (const [name, { bytes, mode = 0o644 }] of Object.entries(files)) archive.entry({ name, mode }, bytes);
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const chunk of archive) parts.push(chunk as Buffer);
  return Buffer.concat(parts);
}

/** @param program a statically linked program, the only file of the image; the command is `program sh` */
export async function startRegistry(program: string): Promise<TestRegistry> {
  const layer = await layerOf({ "bin/sh": { bytes: readFileSync(program), mode: 0o755 } });
  const compressed = gzipSync(layer);
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Cmd: ["/bin/sh"], User: "1000" },
      rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.docker.distribution.manifest.v2+json",
      config: {
        mediaType: "application/vnd.docker.container.image.v1+json",
        size: config.length,
        digest: digestOf(config),
      },
      layers: [
        {
          mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
          size: compressed.length,
          digest: digestOf(compressed),
        },
      ],
    }),
  );
  const blobs = new Map([config, compressed].map((bytes) => [digestOf(bytes), bytes]));
  const requests: string[] = [];
  let busy = 0;
  let password: string | null = null;
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    requests.push(`${method} ${url}`);
    if (busy > 0) {
      busy -= 1;
      response.writeHead(503).end("service unavailable");
      return;
    }
    if (password !== null && headers.authorization !== `Basic ${Buffer.from(password).toString("base64")}`) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="test"' }).end();
      return;
    }
    const blob = blobs.get(url.slice(url.lastIndexOf("/") + 1));
    if (url === "/v2/") response.writeHead(200).end("{}");
    else if (/^\/v2\/team\/app\/manifests\/(1|latest|sha256:)/.test(url)) {
      response.writeHead(200, {
        "content-type": "application/vnd.docker.distribution.manifest.v2+json",
        "docker-content-digest": digestOf(manifest),
        "content-length": manifest.length,
      });
      response.end(method === "HEAD" ? undefined : manifest);
    } else if (blob !== undefined) response.writeHead(200, { "content-length": blob.length }).end(blob);
    else
      response
        .writeHead(404, { "content-type": "application/json" })
        .end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    image: `${host}/team/app:1`,
    busyFor: (count) => {
      busy = count;
    },
    requirePassword: (user, secret) => {
      password = `${user}:${secret}`;
    },
    requests,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
