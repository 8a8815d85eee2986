/** Text tables. */
import { stripVTControlCharacters } from "node:util";

const width = (text: string): number => [...stripVTControlCharacters(text)].length;

/** Left-aligned columns, two spaces apart. Colour sequences have no width. */
export function table(head: string[], rows: string[][]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - width(cell))))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
