import { describe, expect, it } from "vitest";
import {
  languageOfImage,
  parseImageName,
  providerOfImage,
  resemblesProvider,
} from "../../../src/stack/definition/image-name.js";

describe("parseImageName, providerOfImage and languageOfImage", () => {
  it.each([
    ["postgres", "postgres", "postgres", null, true],
    ["docker.io/library/postgres:15-alpine@sha256:abc", "postgres", "postgres", "15-alpine", true],
    ["registry:5000/a/postgres:16", "a/postgres", "postgres", "16", false],
    ["localhost/valkey/valkey", "valkey/valkey", "valkey", null, false],
    ["public.ecr.aws/docker/library/redis:7", "redis", "redis", "7", true],
    ["public.ecr.aws/bitnami/redis:7", "bitnami/redis", "redis", "7", false],
    ["constructor", "constructor", "constructor", null, true],
  ])("the name %s is split into path, name and tag", (image, path, name, tag, onDockerHub) => {
    expect(parseImageName(image)).toEqual({ path, name, tag, onDockerHub });
  });

  it.each([
    ["postgres:15-alpine", "postgres"],
    ["library/postgres@sha256:abc", "postgres"],
    ["docker.io/library/redis:7", "redis"],
    ["index.docker.io/valkey/valkey:8", "redis"],
    ["mirror.gcr.io/library/postgres:16", "postgres"],
    ["valkey/valkey", "redis"],
    ["bitnami/postgresql", null],
    ["acme/postgres", null],
    ["supabase/postgres:15", null],
    ["ghcr.io/acme/redis", null],
    ["localhost:5000/redis", null],
    ["localhost/valkey/valkey:8", null],
    ["redis-stack", null],
    ["valkey", null],
    ["postgresql", null],
    ["postgres/redis", null],
    ["constructor", null],
    ["", null],
  ])("%s is run by the embedded server %s", (image, provider) => {
    expect(providerOfImage(image)).toBe(provider);
  });

  it("names that resemble a database's and names of languages are recognised", () => {
    expect(["bitnami/postgresql", "ghcr.io/acme/redis:7", "nginx"].map(resemblesProvider)).toEqual([
      "postgres",
      "redis",
      null,
    ]);
    expect(["node:22", "docker.io/library/python:3.13-slim", "acme/node", "ruby"].map(languageOfImage)).toEqual([
      "node",
      "python",
      null,
      null,
    ]);
  });
});
