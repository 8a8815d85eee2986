/**
 * Defines the command line; the help lists commands in the order of this file. A command's module is loaded when the
 * command runs.
 */
import { type Argument, Command, CommanderError, Option } from "commander";
import { FLAG_SETTINGS } from "../config/flags.js";
import { VERSION } from "../version.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import {
  clientOption,
  countOption,
  listOption,
  numberOption,
  portOption,
  withAgentSettings,
  withProject,
  withSettings,
  withToken,
} from "./options.js";
import { reportingFailure } from "./reporting-failure.js";
import type { CliHost } from "./session.js";

interface Outcome {
  code: ExitCode;
}

/** Keeps the exit code of a command for the process. */
type End = (code: Promise<ExitCode>) => Promise<void>;

function stackCommands(program: Command, host: CliHost, end: End): void {
  program.commandsGroup("Run a stack:");
  withProject(program.command("up"))
    .description("start the stack and show its logs; Ctrl-C stops it")
    .option("-d, --detach", "return once the stack is healthy and leave it running")
    .argument("[services...]", "start these and what they depend on (default: all)")
    .option(
      "-f, --file <path>",
      "Compose file below the project's folder (repeatable; default: the usual names)",
      listOption,
    )
    .option("--profile <name>", "activate a Compose profile (repeatable)", listOption)
    .option("--without <service>", "do not start this service (repeatable)", listOption)
    .option(
      "--port <service=port|auto>",
      "host port of a service, or of service:container port; auto: next free ones (repeatable)",
      portOption,
    )
    .option("--watch", "replace services when their files change, as develop.watch says")
    .option("--idle-stop <duration>", "stop the stack after this time without a call, such as 2h")
    .option("--no-logs", "do not show logs")
    .action((services, options) =>
      end(import("./commands/up.js").then(({ up }) => up({ ...options, services }, host))),
    );
  withProject(program.command("down"))
    .description("stop the stack; data is kept")
    .argument("[services...]", "stop only these (default: all)")
    .option("-v, --volumes", "also delete the named volumes (requires --yes)")
    .option("--no-snapshot", "with --volumes: delete the data without saving a snapshot first")
    .option("--yes", "confirm the deletion")
    .action((services, options) =>
      end(import("./commands/change.js").then(({ down }) => down({ ...options, services }, host))),
    );
  withProject(program.command("restart"))
    .description("restart a service with a fresh instance")
    .argument("<service>")
    .option("--dependents", "also restart the services that depend on it")
    .action((service, options) =>
      end(import("./commands/change.js").then(({ restart }) => restart(service, options, host))),
    );
  withProject(program.command("ps"))
    .description("list running stacks")
    .option("-a, --all", "include stopped projects")
    .action((options) => end(import("./commands/ps.js").then(({ ps }) => ps(options, host))));
  withProject(program.command("logs"))
    .description("show the output of services")
    .argument("[services...]", "default: all")
    .option("-n, --tail <lines>", "number of most recent lines, 1 to 10000 (default: 100)", numberOption)
    .option("-f, --follow", "keep printing new lines")
    .option("--since <time>", "ISO 8601 or an age such as 10m")
    .option("--until <time>", "ISO 8601 or an age such as 10m")
    .option("-g, --grep <text>", "only lines that contain this text")
    .option("--regex", "treat --grep as an RE2 regular expression")
    .option("--errors", "only errors, with their stack traces")
    .addOption(
      new Option("--min-level <level>", "only lines of at least this level").choices([
        "trace",
        "debug",
        "info",
        "warning",
        "error",
        "fatal",
      ]),
    )
    .option("-C, --context <lines>", "lines around each match, 0 to 20", numberOption)
    .option("--summary", "counts by level, message and time instead of lines")
    .option("--wait-for <text>", "wait for a line with this text (with --follow: a new line); exit code 1 on timeout")
    .option("--timeout <seconds>", "how long --wait-for waits, up to 50 (default: 20)", numberOption)
    .addOption(new Option("--stream <name>", "only this stream").choices(["stdout", "stderr", "install"]))
    .option("--previous", "show the previous instance's output")
    .option("-t, --timestamps", "show times")
    .action((services, options) => end(import("./commands/logs.js").then(({ logs }) => logs(services, options, host))));
  withProject(program.command("health"))
    .description("report the health of services; exit code 0 only when every service is healthy")
    .addOption(
      new Option("--wait <condition>", "wait until the stack is in this state").choices(["healthy", "stopped"]),
    )
    .option("--timeout <seconds>", "how long to wait (default: 50)", numberOption)
    .option("--fresh", "run the health checks now")
    .action((options) => end(import("./commands/health.js").then(({ health }) => health(options, host))));
  withProject(program.command("diagnose"))
    .description("find the most likely cause of a problem and the next step; exit code 0 when there is none")
    .argument("[service]", "default: the whole stack")
    .option("--since <time>", "how far to look back: ISO 8601 or an age such as 10m (default: 1h)")
    .action((service, options) =>
      end(import("./commands/diagnose.js").then(({ diagnose }) => diagnose(service, options, host))),
    );
  withProject(program.command("events"))
    .description("show events: starts, crashes, restarts, limit changes")
    .option("-n, --limit <count>", "number of events, 1 to 1000 (default: 100)", numberOption)
    .option("--service <name>", "only this service")
    .option("--type <name>", "only this type (repeatable)", listOption)
    .option("-f, --follow", "keep printing new events")
    .action((options) => end(import("./commands/observe.js").then(({ events }) => events(options, host))));
  withProject(program.command("stats"))
    .description("show CPU, memory and process usage and the limits")
    .argument("[services...]", "default: all")
    .action((services, options) =>
      end(import("./commands/observe.js").then(({ stats }) => stats(services, options, host))),
    );
  withProject(program.command("limits"))
    .description("change a service's limits without a restart")
    .argument("<service>")
    .option("--cpus <cores>", "CPU cores", numberOption)
    .option("--memory <size>", "memory in MB, or with a unit, such as 512m or 2g")
    .option("--pids <count>", "processes and threads", numberOption)
    .option("--force", "allow a memory limit below current usage")
    .action((service, options) =>
      end(import("./commands/change.js").then(({ limits }) => limits(service, options, host))),
    );
}

function serviceCommands(program: Command, host: CliHost, end: End): void {
  program.commandsGroup("Work in it:");
  for (const [name, description] of [
    ["exec", "run a command in a service's running instance and exit with its exit code"],
    ["run", "start a service's dependencies, run a command in a fresh instance of it, and exit with its exit code"],
  ] as const) {
    const command = withProject(program.command(name))
      .description(description)
      .argument("<service>")
      .argument("<command...>", "program and arguments; put -- before those that begin with a dash")
      .passThroughOptions()
      .option("-t, --tty", "give the command this terminal (default when standard input and output are terminals)")
      .option("-T, --no-tty", "give the command no terminal; its output is then sanitised and secrets are hidden")
      .option("-i, --interactive", "without a terminal: pass all of standard input to the command")
      .option("-e, --env <name=value>", "additional environment variable (repeatable)", listOption)
      .option("-w, --workdir <path>", "absolute path in the service")
      .option("--shell", "run the command, given as one argument, with /bin/sh")
      .option("--timeout <seconds>", "kill the command after this time (default: a day)", numberOption);
    if (name === "run") command.option("--no-deps", "do not start its dependencies");
    command.action((service, words, options) =>
      end(import("./commands/exec.js").then(({ exec }) => exec(name, service, words, options, host))),
    );
  }
  withProject(program.command("url"))
    .description("print the addresses of services on this machine")
    .argument("[service]", "default: all")
    .action((service, options) => end(import("./commands/access.js").then(({ url }) => url(service, options, host))));
  withProject(program.command("env"))
    .description("print a service's environment; secret values are shown on a terminal only")
    .argument("<service>")
    .action((service, options) => end(import("./commands/access.js").then(({ env }) => env(service, options, host))));
  withProject(program.command("connect"))
    .description(
      "open psql or redis-cli for a service, or print its connection URL; passwords are shown on a terminal only",
    )
    .argument("<service>")
    .option("--print", "print the URL instead of opening a client")
    .action((service, options) =>
      end(import("./commands/access.js").then(({ connect }) => connect(service, options, host))),
    );
  const snapshot = program
    .command("snapshot")
    .description("save, restore, list and delete snapshots of a project's data");
  withProject(snapshot.command("save"))
    .description("save the named volumes; services are paused during the copy")
    .argument("[name]", "default: the current time")
    .option("--service <name>", "only the volumes of this service")
    .action((name, options) =>
      end(import("./commands/snapshot.js").then(({ snapshotChange }) => snapshotChange("save", name, options, host))),
    );
  withProject(snapshot.command("restore"))
    .description("replace the data of a stopped stack (needs --yes)")
    .argument("<name>")
    .option("--yes", "really replace")
    .action((name, options) =>
      end(
        import("./commands/snapshot.js").then(({ snapshotChange }) => snapshotChange("restore", name, options, host)),
      ),
    );
  withProject(snapshot.command("list"))
    .description("list snapshots, the oldest first")
    .action((options) => end(import("./commands/snapshot.js").then(({ snapshotList }) => snapshotList(options, host))));
  withProject(snapshot.command("delete"))
    .description("delete a snapshot (needs --yes)")
    .argument("<name>")
    .option("--yes", "really delete")
    .action((name, options) =>
      end(import("./commands/snapshot.js").then(({ snapshotChange }) => snapshotChange("delete", name, options, host))),
    );
  withSettings(program.command("dashboard"))
    .description("open the dashboard of the background server; on a terminal, print its link with a token")
    .option("--no-open", "print the link only")
    .option("--json", "print the link as JSON")
    .action((options) => end(import("./commands/dashboard.js").then(({ dashboard }) => dashboard(options, host))));
}

function setUpCommands(program: Command, host: CliHost, end: End): void {
  program.commandsGroup("Set up and clean up:");
  program
    .command("init")
    .description("show which files the project and the MCP client need; --yes writes them")
    .option("--folder <path>", "the project's folder (default: the working directory)")
    .addOption(
      new Option("--client <name>", "also add stackwarden to this client's configuration (repeatable)").argParser(
        clientOption,
      ),
    )
    .option("--yes", "write the files; existing files and entries are kept")
    .option("--json", "print the result as JSON")
    .action((options) => end(import("./commands/init.js").then(({ init }) => init(options, host))));
  withProject(program.command("config"))
    .description("show the project's compose files as one resolved model; starts nothing")
    .argument("[services...]", "these and what they depend on (default: all)")
    .option("-f, --file <path>", "Compose file below the project's folder (repeatable)", listOption)
    .option("--profile <name>", "activate a Compose profile (repeatable)", listOption)
    .option("--without <service>", "leave this service out (repeatable)", listOption)
    .addOption(new Option("--format <name>", "output format (default: yaml)").choices(["yaml", "json"]))
    .option("--services", "print the names of services only")
    .option("--images", "print the images only")
    .option("--notes", "print the notes only, such as attributes that have no effect")
    .action((services, options) =>
      end(import("./commands/config.js").then(({ config }) => config(services, options, host))),
    );
  withProject(program.command("doctor"))
    .description("check what this machine can run and enforce")
    .action((options) => end(import("./commands/doctor.js").then(({ doctor }) => doctor(options, host))));
  withSettings(program.command("prune"))
    .description("delete all data of stopped projects whose folder no longer exists, or of the named projects")
    .argument("[projects...]", "default: every project whose folder is gone")
    .option("--dry-run", "list the projects and delete nothing")
    .option("--yes", "confirm the deletion of data, snapshots, dependencies and logs")
    .option("--json", "print the result as JSON")
    .action((projects, options) =>
      end(import("./commands/prune.js").then(({ prune }) => prune(projects, options, host))),
    );
}

function serverCommands(program: Command, host: CliHost, end: End): void {
  program.commandsGroup("Agents and servers:");
  withAgentSettings(program.command("mcp"))
    .description("serve MCP over stdio, through the background server that your agents share")
    .option("--standalone", "run the server in this process; its stacks are private and stop when the client exits")
    .option("--stop-on-exit", "stop the stacks that this client started when the client exits")
    .action((options) => end(import("./commands/mcp.js").then(({ mcp }) => mcp(options, host))));
  const server = program.command("server").description("manage the background server that agents and commands share");
  withToken(server.command("start"))
    .description("start the server unless it is running")
    .action((options) => end(import("./commands/server.js").then(({ serverStart }) => serverStart(options, host))));
  withToken(server.command("status"))
    .description("show the server and its stacks; exit code 3 when it is not running")
    .action((options) => end(import("./commands/server.js").then(({ serverStatus }) => serverStatus(options))));
  withToken(server.command("stop"))
    .description("stop the server")
    .option("--force", "stop it even with running stacks or connected clients; stacks are stopped, data is kept")
    .action((options) => end(import("./commands/server.js").then(({ serverStop }) => serverStop(options))));
  withToken(server.command("logs"))
    .description("show the server's log")
    .option("-n, --tail <lines>", "number of most recent lines (default: 100)", countOption)
    .option("-f, --follow", "keep printing new lines")
    .action((options) => end(import("./commands/server.js").then(({ serverLogs }) => serverLogs(options))));
  withSettings(server.command("run", { hidden: true }))
    .description("run the background server in the foreground")
    .action((options) => end(import("./commands/server-run.js").then(({ serverRun }) => serverRun(options, host))));
  withAgentSettings(program.command("serve"))
    .description("serve MCP (/mcp) and REST (/api/v1) over HTTP on loopback; requests need a token")
    .option("--host <address>", "address to listen on (default: 127.0.0.1)")
    .option("--port <number>", "port to listen on, 0 for any (default: 7717)", numberOption)
    .option("--socket <path>", "socket file for this user (default: http/http.sock in the state directory)")
    .option("--no-address", "listen on the socket file only")
    .option("--tls-cert <file>", "certificate (PEM)")
    .option("--tls-key <file>", "private key of the certificate (PEM)")
    .option("--insecure-bind", "allow a non-loopback address without TLS, e.g. behind a TLS-terminating proxy")
    .option("--allowed-host <name>", "additional host name of this server (repeatable)", listOption)
    .option("--allowed-origin <origin>", "origin under which a proxy publishes this server (repeatable)", listOption)
    .option("--json", "print the addresses as JSON")
    .action((options) => end(import("./commands/serve.js").then(({ serve }) => serve(options, host))));
  const token = program.command("token").description("manage the bearer tokens of the HTTP server");
  withToken(token.command("list"))
    .description("list tokens")
    .action((options) => end(import("./commands/token.js").then(({ tokenList }) => tokenList(options))));
  withToken(token.command("add"))
    .description("create or replace a token and print it")
    .argument("<name>")
    .addOption(new Option("--scope <scope>", "what the token permits (default: read)").choices(["read", "operate"]))
    .action((name, options) => end(import("./commands/token.js").then(({ tokenAdd }) => tokenAdd(name, options))));
  withToken(token.command("rotate"))
    .description("replace a token with a new one of the same scope and print it")
    .argument("<name>")
    .action((name, options) =>
      end(import("./commands/token.js").then(({ tokenRotate }) => tokenRotate(name, options))),
    );
  withToken(token.command("remove"))
    .description("remove a token")
    .argument("<name>")
    .action((name, options) =>
      end(import("./commands/token.js").then(({ tokenRemove }) => tokenRemove(name, options))),
    );
}

export function buildProgram(host: CliHost, outcome: Outcome): Command {
  const program = new Command("stackwarden")
    .description("Start and operate a hardened development stack, for AI agents (MCP) and people.")
    .version(VERSION, "-V, --version", "print the version")
    .exitOverride()
    // What follows a command's program belongs to that program.
    .enablePositionalOptions()
    .addHelpCommand(
      new Command("help").argument("[command]").description("display the help of a command").helpGroup("Other:"),
    )
    .configureHelp({
      // Without [options], which nearly every command has: the descriptions begin further left.
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
    })
    .addHelpText("after", "\nFirst steps in a project's folder: stackwarden init, stackwarden up, stackwarden ps");
  const end: End = async (code) => {
    outcome.code = await code;
  };
  stackCommands(program, host, end);
  serviceCommands(program, host, end);
  setUpCommands(program, host, end);
  serverCommands(program, host, end);
  program.commandsGroup("Other:");
  program
    .command("version")
    .description("print the version")
    .action(() => {
      process.stdout.write(`${VERSION}\n`);
    });
  arrange(program);
  return program;
}

const SETTINGS_OPTIONS: ReadonlySet<string> = new Set(["config", ...FLAG_SETTINGS.flatMap(({ flag }) => flag ?? [])]);

/** Names a command's own help in errors about its arguments, and lists the options of settings last. */
function arrange(program: Command): void {
  program.showHelpAfterError("(stackwarden --help lists the commands)");
  const describe = (command: Command, name: string): void => {
    command.showHelpAfterError(`(stackwarden ${name} --help shows its arguments and options)`);
    for (const one of command.commands) describe(one, `${name} ${one.name()}`);
    // The command's own options come first.
    const isSetting = (option: Option): boolean => SETTINGS_OPTIONS.has(option.attributeName());
    for (const option of command.options) if (isSetting(option)) option.helpGroup("Settings:");
    (command.options as Option[]).sort((one, other) => Number(isSetting(one)) - Number(isSetting(other)));
  };
  for (const command of program.commands) describe(command, command.name());
}

const argumentTerm = (argument: Argument): string => {
  const text = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${text}>` : `[${text}]`;
};

/**
 * Runs one command.
 * @returns the exit code (see EXIT)
 */
export function runCli(argv: string[], host: CliHost): Promise<ExitCode> {
  const outcome: Outcome = { code: EXIT.ok };
  return reportingFailure(argv, async () => {
    try {
      await buildProgram(host, outcome).parseAsync(argv, { from: "user" });
      return outcome.code;
    } catch (error) {
      if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      throw error;
    }
  });
}
