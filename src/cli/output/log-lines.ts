/** Prints log lines for people: `service | text`, one colour per service. */
import type { LogReport } from "../../stack/model.js";
import { dim, servicePainter, type Terminal } from "./terminal.js";

/** How to read omitted lines, in options of `stackwarden logs`. */
const MORE = {
  tail: "show more with --tail",
  budget: "narrow the output with --since, --grep or a service",
  rotated: "they are no longer stored",
};

export class LogPrinter {
  #width = 0;

  constructor(
    private readonly terminal: Pick<Terminal, "json" | "print" | "note">,
    private readonly times = false,
    private readonly paint = servicePainter(),
  ) {}

  print(page: LogReport): void {
    if (this.terminal.json) {
      for (const line of page.lines) this.terminal.print(JSON.stringify(line));
      return;
    }
    if (page.omitted !== null)
      this.terminal.note(dim(`${page.omitted.lines} lines omitted: ${MORE[page.omitted.reason]}`));
    // The widest name of the page decides, so that its columns are aligned.
    this.#width = Math.max(this.#width, ...page.lines.map(({ service }) => service.length));
    for (const { service, time, text, repeated } of page.lines) {
      const name = this.paint(service, service.padEnd(this.#width));
      const times = repeated === undefined ? "" : dim(` (× ${repeated.count})`);
      this.terminal.print(`${this.times ? `${dim(time)} ` : ""}${name} ${dim("|")} ${text}${times}`);
    }
  }
}
