/** Hosts in URLs of the environment that no service of the files has as a name. */
import { hostname } from "node:os";
import { expect, it } from "vitest";
import { load } from "./project.js";

const stack = (url: string, more = ""): string => `
services:
  api:
    image: example/api
    environment: { TARGET: ${JSON.stringify(url)} }
${more === "" ? "" : `    ${more}\n`}
  db: { image: example/db, container_name: shop-data, hostname: store, networks: { default: { aliases: [records] } } }
  cache: { image: example/cache, profiles: [fast] }
`;

it.each([
  ["postgres://user:secret@dbb:5432/shop", "dbb", "db"],
  ["http://cachee:6379", "cachee", "cache"],
  ["jdbc:postgresql://postgres/shop?user=app", "postgres", undefined],
  ["postgresql+asyncpg://user:pass@postgres/shop", "postgres", undefined],
  ["REDIS://Database", "database", undefined],
  ["mongodb://db:27017,db2:27017/shop?replicaSet=one", "db2", "db"],
])("the host of %s is reported with the most similar service", async (url, host, near) => {
  const { unknownHosts } = await load({ "compose.yaml": stack(url) });
  expect(unknownHosts).toEqual([{ service: "api", variable: "TARGET", host, ...(near === undefined ? {} : { near }) }]);
});

it.each([
  ["a service", "postgres://user@db:5432/x"],
  ["a service in capitals", "postgres://user@DB/x"],
  ["a service whose profile is not active", "redis://cache:6379/0"],
  ["a container's name", "postgres://shop-data/x"],
  ["a host name", "postgres://store/x"],
  ["an alias", "postgres://records/x"],
  ["a container that Compose names", "postgres://shop-db-1/x"],
  ["this machine", `postgres://${hostname().split(".")[0]}/x`],
  ["localhost", "postgres://localhost:5432/x"],
  ["a name with a dot", "postgres://host.docker.internal/x"],
  ["an address", "postgres://[::1]:5432/x"],
  ["a number", "redis://2130706433/0"],
  ["a name that the service itself substitutes", "postgres://$${USER}@$${HOST}:5432/x"],
  ["a template", "postgres://{host}:5432/x"],
  ["no host", "postgres:///x"],
  ["a password that is not encoded", "postgres://user:p/ss@db/x"],
  ["a password without a host", "postgres://user:pass"],
  ["another scheme", "s3://dbb/key"],
  ["a transport that is named default", "doctrine://dbb"],
  ["a web name that resembles no service", "https://intranet/wiki"],
  ["a list of origins", "http://dbb,http://cachee"],
  ["a text that contains a URL", "see http://dbb"],
])("%s is not reported: %s", async (_what, url) => {
  expect(await load({ "compose.yaml": stack(url) })).not.toHaveProperty("unknownHosts");
});

it.each([
  ["links: ['db:dbb']"],
  ["extra_hosts: ['dbb=host-gateway']"],
  ["dns_search: [example.com]"],
  ["networks: [default, shared]"],
  ["network_mode: none"],
])("a service for which more names resolve is not reported: %s", async (more) => {
  const text = `${stack("postgres://dbb/x", more)}\nnetworks: { shared: { external: true } }`;
  expect(await load({ "compose.yaml": text })).not.toHaveProperty("unknownHosts");
});

it("a URL of an env file is reported", async () => {
  const files = { "app.env": "DATABASE_URL=postgres://dbb/x\n", "compose.yaml": stack("x", "env_file: app.env") };
  const reported = [{ service: "api", variable: "DATABASE_URL", host: "dbb", near: "db" }];
  expect(await load(files)).toHaveProperty("unknownHosts", reported);
});
