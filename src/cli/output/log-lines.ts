/** Prints log lines for people: `service | text`, one colour per service. */
import type { LogReport } from "../../stack/model.js";
import { dim, servicePainter, type Terminal } from "./terminal.js";

export class LogPrinter {
  readonly #paint = servicePainter();
  #width = 0;

  constructor(
    private readonly terminal: Terminal,
    private readonly times = false,
  ) {}

  print(page: LogReport): void {
    if (this.terminal.json) {
      for (const line of page.lines) this.terminal.print(JSON.stringify(line));
      return;
    }
    if (page.omitted !== null)
      this.terminal.note(
        dim(`${page.omitted.lines} lines omitted (${page.omitted.reason}): ${page.omitted.how_to_get}`),
      );
    for (const { service, time, text, repeated } of page.lines) {
      this.#width = Math.max(this.#width, service.length);
      const name = this.#paint(service.padEnd(this.#width));
      const times = repeated === undefined ? "" : dim(` (× ${repeated.count})`);
      this.terminal.print(`${this.times ? `${dim(time)} ` : ""}${name} ${dim("|")} ${text}${times}`);
    }
  }
}
