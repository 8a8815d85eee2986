/**
 * Selects whole records: a line and those that continue it (stack frames, details), by level and text, with lines of the
 * same service around them. Works in both directions of reading.
 */
import { continues, type LogLevel, levelOf, levelRank } from "./levels.js";
import type { MergedLine } from "./merge.js";

/** Maximum lines of a record that are kept together. */
const LONGEST_RECORD = 200;

export interface RecordRules {
  minLevel?: LogLevel;
  /** Lines before and after each record. */
  context: number;
  /** True when a line's text matches. One matching line selects the record. */
  test(text: string): boolean;
}

interface ServiceState {
  /** Lines of the current record. */
  record: MergedLine[];
  /** The newest lines that were not selected. */
  passed: MergedLine[];
  /** Number of lines still to be selected as context. */
  remaining: number;
}

export class RecordFilter {
  readonly #services = new Map<string, ServiceState>();

  constructor(
    private readonly rules: RecordRules,
    private readonly direction: 1 | -1,
  ) {}

  /** @returns the lines selected so far; lines of an incomplete record are returned later */
  push(lines: readonly MergedLine[]): MergedLine[] {
    return lines.flatMap((entry) => {
      const state = this.#stateOf(entry.service);
      const { record } = state;
      // Reading forward, a record ends before the next line that does not continue it. Reading backward, it ends with
      // such a line.
      const isHead = !continues(entry.line.text);
      if (this.direction === -1) {
        record.push(entry);
        return isHead || record.length === LONGEST_RECORD ? this.#end(state) : [];
      }
      const completed = (isHead || record.length === LONGEST_RECORD) && record.length > 0 ? this.#end(state) : [];
      state.record.push(entry);
      return completed;
    });
  }

  /** Ends the input and returns the selected lines of incomplete records. */
  flush(): MergedLine[] {
    return [...this.#services.values()].flatMap((state) => (state.record.length === 0 ? [] : this.#end(state)));
  }

  #stateOf(service: string): ServiceState {
    let state = this.#services.get(service);
    if (state === undefined) {
      state = { record: [], passed: [], remaining: 0 };
      this.#services.set(service, state);
    }
    return state;
  }

  #end(state: ServiceState): MergedLine[] {
    const record = state.record;
    state.record = [];
    const { context } = this.rules;
    if (this.#selects(record)) {
      const around = state.passed;
      state.passed = [];
      state.remaining = context;
      return [...around, ...record];
    }
    const visible = record.slice(0, state.remaining);
    state.remaining -= visible.length;
    if (context > 0) state.passed = [...state.passed, ...record.slice(visible.length)].slice(-context);
    return visible;
  }

  #selects(record: readonly MergedLine[]): boolean {
    const { minLevel, test } = this.rules;
    if (minLevel !== undefined && !record.some(({ line }) => levelRank(levelOf(line.text)) >= levelRank(minLevel)))
      return false;
    return record.some(({ line }) => test(line.text));
  }
}
