/** `url`, `env`, `connect`: addresses and credentials of services, for people. */

import { spawn } from "node:child_process";
import { StackwardenError } from "../../errors.js";
import type { ServiceDefinition } from "../../stack/definition/types.js";
import type { ServiceReport } from "../../stack/model.js";
import { quoteWord } from "../../system/quote-word.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { table } from "../output/table.js";
import { dim, harmless } from "../output/terminal.js";
import { definitionWithSecrets, runningStack, serviceOf } from "../service-access.js";
import { type CliHost, type CommonOptions, openSession } from "../session.js";

const HIDDEN = "[hidden: shown on a terminal only]";
const onTerminal = (): boolean => process.stdout.isTTY === true;

/** @param client a command that reaches the service from inside it */
const publishesNothing = (service: string, port = 80, client: string | null = null): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `${service} publishes no port, so it has no address on this machine.`, {
    hint: `${client === null ? "Publish a port" : `Run a client inside it: \`stackwarden exec ${service} ${client}\`. Or publish a port`} in the compose file: ports: [":${port}"] uses the next free host port.`,
  });

/** Prints the addresses of one service, one a line, or of all services. */
export async function url(service: string | undefined, options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const stack = await runningStack(session);
    const chosen = service === undefined ? Object.values(stack.services) : [serviceOf(stack, service)];
    const rows = chosen.flatMap((one) => one.endpoints.map((endpoint) => [one.service, endpoint.url]));
    if (service !== undefined && rows.length === 0) throw publishesNothing(service);
    const { terminal } = session;
    if (terminal.json) terminal.print(JSON.stringify(rows.map(([name, address]) => ({ service: name, url: address }))));
    else if (service !== undefined) terminal.print(rows.map(([, address]) => address).join("\n"));
    else terminal.print(table(["SERVICE", "ADDRESS"].map(dim), rows));
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

/** A name that a shell can assign to. A compose file can have others, which a shell would run as commands. */
const SHELL_NAME = /^[A-Za-z_]\w*$/;

/** For a shell: `eval "$(stackwarden env backend)"` would read each value as it stands. */
const assignment = (name: string, value: string): string => `${name}=${value === "" ? "" : quoteWord(value)}`;

/** Prints a service's environment; secrets on a terminal only. */
export async function env(service: string, options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const stack = await runningStack(session);
    serviceOf(stack, service);
    const { environment, hidden } = await definitionWithSecrets(session, stack, service);
    const variables = Object.entries(environment).map(([name, value]): [string, string] => [
      name,
      hidden.has(name) && !onTerminal() ? HIDDEN : value,
    ]);
    const { terminal } = session;
    if (terminal.json) terminal.print(JSON.stringify(Object.fromEntries(variables)));
    else {
      const lines = variables.filter(([name]) => SHELL_NAME.test(name)).map(([name, value]) => assignment(name, value));
      terminal.print(harmless(lines.join("\n")));
      for (const [name] of variables.filter(([other]) => !SHELL_NAME.test(other)))
        terminal.note(
          `Omitted ${JSON.stringify(name)}: a shell cannot have a variable of this name. --json prints it.`,
        );
    }
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

interface Client {
  program: string;
  args: string[];
  /** Holds the password: arguments are visible to other users. */
  environment: Record<string, string>;
  /** @param password the password, or an empty text to leave it out */
  url(password: string): string;
  password: string;
}

const part = encodeURIComponent;

function clientOf(definition: ServiceDefinition, { service, endpoints }: ServiceReport): Client {
  const { environment, image = "", command = [] } = definition;
  const kinds = [
    {
      port: 5432,
      names: /postgres|postgis|timescale/,
      client: ({ POSTGRES_USER = "postgres", POSTGRES_DB = POSTGRES_USER }: Record<string, string>) =>
        `psql -U ${quoteWord(POSTGRES_USER)} ${quoteWord(POSTGRES_DB)}`,
    },
    { port: 6379, names: /redis|valkey/, client: () => "redis-cli" },
  ];
  const known = kinds.find(({ names }) => names.test(image));
  if (endpoints.length === 0) throw publishesNothing(service, known?.port, known?.client(environment));
  const kind = endpoints.some((one) => one.container_port === known?.port) ? known : undefined;
  const endpoint = endpoints.find(({ container_port }) => container_port === kind?.port);
  if (kind === undefined || endpoint === undefined)
    throw new StackwardenError("UNSUPPORTED", `${service} is neither PostgreSQL nor Redis on its usual port.`, {
      hint: `Its address is ${endpoints.map((one) => one.url).join(", ")}; \`stackwarden env ${service}\` shows its environment.`,
    });
  const { host, host_port: port } = endpoint;
  if (kind.port === 5432) {
    const user = environment.POSTGRES_USER ?? "postgres";
    const database = environment.POSTGRES_DB ?? user;
    return {
      program: "psql",
      args: ["--host", host, "--port", String(port), "--username", user],
      // psql reads an argument such as `host=…` as further settings of the connection, and this variable as a name.
      environment: { PGDATABASE: database, PGPASSWORD: environment.POSTGRES_PASSWORD ?? "" },
      password: environment.POSTGRES_PASSWORD ?? "",
      url: (password) =>
        `postgresql://${part(user)}${password === "" ? "" : `:${part(password)}`}@${host}:${port}/${part(database)}`,
    };
  }
  const requirePass = / ?--requirepass (\S+)/.exec(command.join(" "))?.[1];
  const password = requirePass ?? environment.REDIS_PASSWORD ?? "";
  return {
    program: "redis-cli",
    args: ["-h", host, "-p", String(port)],
    environment: password === "" ? {} : { REDISCLI_AUTH: password },
    password,
    url: (text) => `redis://${text === "" ? "" : `:${part(text)}@`}${host}:${port}`,
  };
}

export interface ConnectOptions extends CommonOptions {
  /** Print the URL instead of opening a client. */
  print?: boolean;
}

/** Opens psql or redis-cli, or prints the connection URL, with the password on a terminal only. */
export async function connect(service: string, options: ConnectOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const stack = await runningStack(session);
    const report = serviceOf(stack, service);
    const client = clientOf(await definitionWithSecrets(session, stack, service), report);
    const interactive =
      onTerminal() && process.stdin.isTTY === true && options.print !== true && !session.terminal.json;
    const { findProgram } = await import("../../system/find-program.js");
    const program = interactive ? await findProgram(client.program) : null;
    if (program !== null) return await open(program, client);
    const address = client.url(onTerminal() ? client.password : "");
    session.terminal.print(session.terminal.json ? JSON.stringify({ service, url: address }) : address);
    if (interactive) session.terminal.note(dim(`${client.program} was not found; this is the connection URL.`));
    else if (!onTerminal() && client.password !== "")
      session.terminal.note(dim("The password is left out: it is shown on a terminal only."));
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

const open = (program: string, { args, environment }: Client): Promise<ExitCode> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...environment } });
    // Ctrl-C is the client's: it cancels a query.
    const ignore = (): void => undefined;
    process.on("SIGINT", ignore);
    child.once("error", reject);
    child.once("exit", (code) => {
      process.removeListener("SIGINT", ignore);
      resolve(code === 0 ? EXIT.ok : EXIT.failure);
    });
  });
