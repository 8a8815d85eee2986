/** The notes of a stack, and those of them that the answer of a start has. */
import type { StackReport } from "../model.js";

/** Notes of the stack and its services, without duplicates. */
export function notesOf(stack: StackReport): string[] {
  const own = Object.values(stack.services).flatMap(({ service, notes }) => notes.map((note) => `${service}: ${note}`));
  return [...new Set([...stack.notes, ...own])];
}

/**
 * Notes for the caller of a start: all notes of a stack that was not open before, because no answer of a start had them
 * for this caller; else the new ones.
 * @param known notes that tell this project nothing new, such as the reason for a runtime that it ran on before
 */
export function startNotes(before: StackReport, after: StackReport, known: readonly string[]): string[] {
  const earlier = before.started_at === null ? known : notesOf(before);
  return notesOf(after).filter((note) => !earlier.includes(note));
}
