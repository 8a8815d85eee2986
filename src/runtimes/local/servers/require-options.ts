/** Refuses options of a server that replaces an image before anything starts: a check and a start find the same. */
import type { StackDefinition } from "../../../stack/definition/types.js";
import { authMethod, initdbOptions, postgresSettings } from "../providers/postgres-options.js";
import { providerOf } from "../providers/provider-of.js";
import { redisVariables } from "../providers/redis.js";
import { redisCommand } from "../providers/redis-command.js";
import type { TranslatedService } from "../types.js";
import { serverOptions } from "./mysql.js";
import { memcachedOptions, requireNoRootUser } from "./others.js";

/**
 * @param definition has the secrets that commands name
 * @throws UNSUPPORTED, INVALID_STACK
 */
export function requireOptions(service: TranslatedService, definition: Pick<StackDefinition, "secrets">): void {
  const { server } = service;
  if (server === "mysql" || server === "mariadb") serverOptions(service);
  else if (server === "memcached") memcachedOptions(service);
  else if (server === "mongo") requireNoRootUser(service);
  if (server !== undefined) return;
  const provider = providerOf(service);
  if (provider === "redis") redisCommand(service, redisVariables(service, definition));
  else if (provider === "postgres") {
    postgresSettings(service);
    initdbOptions(service);
    authMethod(service);
  }
}
