/** Prepares the start of a server image. */
import type { LaunchPlan, PrepareContext } from "../providers/launch-plan.js";
import type { ServerName } from "./images.js";
import { prepareMysql } from "./mysql.js";
import { prepareNginx } from "./nginx.js";
import { prepareMailpit, prepareMemcached, prepareMongo, prepareRabbitmq } from "./others.js";

const PREPARE: Readonly<Record<ServerName, (context: PrepareContext) => Promise<LaunchPlan>>> = {
  mysql: prepareMysql,
  mariadb: prepareMysql,
  nginx: prepareNginx,
  memcached: prepareMemcached,
  mongo: prepareMongo,
  rabbitmq: prepareRabbitmq,
  mailpit: prepareMailpit,
};

export const prepareServer = (name: ServerName, context: PrepareContext): Promise<LaunchPlan> => PREPARE[name](context);
