/**
 * Selects whole records: a line and those that continue it (stack frames, details), by level and text, with lines of the
 * same service around them. Works in both directions of reading.
 */
import { continues, type LogLevel, levelOf, levelRank } from "./levels.js";
import type { MergedLine } from "./merge.js";
import { inTraceback, isException, isFrame, mayEndTraceback } from "./stack-traces.js";

/** Maximum lines of a record that are kept together. */
export const LONGEST_RECORD = 200;
/** Lines of all services after which an incomplete record does not delay those of others any more. */
const DELAYING_LINES = 1000;

export interface RecordRules {
  minLevel?: LogLevel;
  /** Lines before and after each record. */
  context: number;
  /** True when a line's text matches. One matching line selects the record. */
  test(text: string): boolean;
}

interface ServiceState {
  /** Lines of the current record. Reading backward, several records: those that may be the end of a traceback. */
  record: MergedLine[];
  /** True when the line before the current record is a frame of a traceback. */
  afterFrames: boolean;
  /** The newest lines that were not selected. */
  passed: MergedLine[];
  /** Number of lines still to be selected as context. */
  remaining: number;
}

export class RecordFilter {
  readonly #services = new Map<string, ServiceState>();
  /** Reading forward, selected lines that follow the beginning of an incomplete record of another service. */
  #held: MergedLine[] = [];

  constructor(
    private readonly rules: RecordRules,
    private readonly direction: 1 | -1,
  ) {}

  /**
   * Reading forward, lines are returned in order, so that a caller can continue after any of them.
   * @returns the lines selected so far; lines of an incomplete record are returned later
   */
  push(lines: readonly MergedLine[]): MergedLine[] {
    const selected = this.#select(lines);
    if (this.direction === -1) return selected;
    const newest = lines.at(-1)?.line.seq ?? 0;
    const begun = [...this.#services.values()].flatMap(({ record }) => record[0]?.line.seq ?? []);
    const ready = Math.min(newest + 1, ...begun.filter((seq) => seq > newest - DELAYING_LINES));
    this.#held = [...this.#held, ...selected].sort((one, other) => one.line.seq - other.line.seq);
    const released = this.#held.filter(({ line }) => line.seq < ready);
    this.#held = this.#held.slice(released.length);
    return released;
  }

  #select(lines: readonly MergedLine[]): MergedLine[] {
    return lines.flatMap((entry) => {
      const state = this.#stateOf(entry.service);
      const { record } = state;
      // Reading forward, a record ends before the next line that does not continue it. Reading backward, it ends with
      // such a line.
      const { text } = entry.line;
      const isHead = !continues(text);
      if (this.direction === -1) {
        record.push(entry);
        const whole = isHead && !mayEndTraceback(text);
        return whole || record.length === LONGEST_RECORD ? this.#endBackward(state) : [];
      }
      const completed =
        (isHead || record.length === LONGEST_RECORD) && record.length > 0 ? this.#endForward(state) : [];
      state.record.push(entry);
      return completed;
    });
  }

  /** Ends the input and returns the selected lines of incomplete records. */
  flush(): MergedLine[] {
    const last = [...this.#services.values()].flatMap((state) => {
      if (state.record.length === 0) return [];
      return this.direction === -1 ? this.#endBackward(state) : this.#endForward(state);
    });
    if (this.direction === -1) return last;
    return [...this.#held, ...last].sort((one, other) => one.line.seq - other.line.seq);
  }

  #stateOf(service: string): ServiceState {
    let state = this.#services.get(service);
    if (state === undefined) {
      state = { record: [], afterFrames: false, passed: [], remaining: 0 };
      this.#services.set(service, state);
    }
    return state;
  }

  #endForward(state: ServiceState): MergedLine[] {
    const { record, afterFrames } = state;
    state.record = [];
    for (const { line } of record) state.afterFrames = inTraceback(line.text, state.afterFrames);
    return this.#take(state, record, afterFrames);
  }

  #endBackward(state: ServiceState): MergedLine[] {
    const lines = state.record.reverse();
    state.record = [];
    const records: { record: MergedLine[]; afterFrames: boolean }[] = [];
    let afterFrames = false;
    for (const entry of lines) {
      const { text } = entry.line;
      if (records.length === 0 || !continues(text)) records.push({ record: [], afterFrames });
      records.at(-1)?.record.push(entry);
      afterFrames = inTraceback(text, afterFrames);
    }
    return records.reverse().flatMap((one) => this.#take(state, one.record.reverse(), one.afterFrames));
  }

  /** Returns the lines of a record, or of the context of one, in the order of reading. */
  #take(state: ServiceState, record: readonly MergedLine[], afterFrames: boolean): MergedLine[] {
    const { context } = this.rules;
    if (this.#selects(record, afterFrames)) {
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

  #selects(record: readonly MergedLine[], afterFrames: boolean): boolean {
    const { minLevel, test } = this.rules;
    if (minLevel !== undefined) {
      const least = levelRank(minLevel);
      const [head] = this.direction === 1 ? record : record.slice(-1);
      const frames = record.some(({ line }) => isFrame(line.text));
      const stated = record.some(({ line }) => levelRank(levelOf(line.text)) >= least);
      const implied = head !== undefined && isException(head.line.text, { afterFrames, frames });
      if (!stated && !(implied && levelRank("error") >= least)) return false;
    }
    return record.some(({ line }) => test(line.text));
  }
}
