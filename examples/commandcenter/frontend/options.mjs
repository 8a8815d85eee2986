/** What the command line and the environment say. Wrong values end the program with a message that names them. */
import { parseArgs } from "node:util";

export function readOptions(argv, env) {
  const { values } = parseArgs({
    args: argv,
    options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "3000" } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`--port must be a number from 0 to 65535, not "${values.port}"`);
  }
  return {
    host: values.host,
    port,
    projectName: env.VITE_PROJECT_NAME || "CommandCenter",
    apiBaseUrl: originOf(env.VITE_API_BASE_URL || "http://127.0.0.1:8000"),
  };
}

function originOf(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new Error(`VITE_API_BASE_URL must be an http or https address, not "${text}"`);
  }
  return url.origin;
}
