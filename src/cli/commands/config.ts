/** `stackwarden config`: the project's compose files as one resolved model, or parts of it. Starts nothing. */
import { stringify } from "yaml";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface ConfigOptions extends CommonOptions {
  format?: "yaml" | "json";
  services?: boolean;
  images?: boolean;
  notes?: boolean;
  file?: string[];
  profile?: string[];
  without?: string[];
}

const lines = (items: readonly string[]): string => items.join("\n");

export async function config(services: string[], options: ConfigOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal, project, folder } = session;
  try {
    const manager = await session.manager();
    const { check, model } = await manager.resolve(
      given({
        project,
        folder,
        files: options.file,
        profiles: options.profile,
        services: services.length === 0 ? undefined : services,
        without: options.without,
      }) as { project: string },
    );
    for (const { kind, file, line, path, message, hint } of check.problems)
      terminal.note(
        `${kind}: ${[`${file}${line === null ? "" : `:${line}`}`, path, message].filter((part) => part !== "").join(": ")}\n  ${hint}`,
      );
    if (model === null) return EXIT.failure;
    if (check.without.length > 0) terminal.note(`The model leaves these services out: ${check.without.join(", ")}.`);
    if (options.services === true) terminal.print(lines(check.services.map(({ service }) => service)));
    else if (options.images === true)
      terminal.print(lines([...new Set(check.services.flatMap(({ image }) => image ?? []))]));
    else if (options.notes === true) terminal.print(lines(check.notes));
    else if (options.format === "json" || terminal.json) terminal.print(JSON.stringify(model, null, 2));
    else if (model !== null) terminal.print(stringify(model).trimEnd());
    return check.startable ? EXIT.ok : EXIT.failure;
  } finally {
    await session.close();
  }
}
