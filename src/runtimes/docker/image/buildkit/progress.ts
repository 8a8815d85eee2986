/** Lines of a BuildKit build, in the form of the Docker CLI's plain progress. */
import { fields, textField } from "./protobuf.js";

/** Field numbers of `moby.buildkit.v1.StatusResponse` and of its messages. */
const STATUS = { vertex: 1, log: 3 };
const VERTEX = { digest: 1, name: 3, cached: 4, started: 5, completed: 6, error: 7 };
const LOG = { vertex: 1, message: 4 };
/** Characters of a line that has no end yet. */
const LONGEST_REST = 65_536;

interface Step {
  number: number;
  /** The step's last line without its end. */
  rest: string;
  begun: boolean;
  ended: boolean;
}

export class BuildKitProgress {
  readonly #steps = new Map<string, Step>();

  constructor(private readonly line: (text: string) => void) {}

  /**
   * @param trace value of the event `moby.buildkit.trace`, in base64
   * @throws RangeError for a message that is not valid
   */
  take(trace: string): void {
    for (const { number, bytes } of fields(Buffer.from(trace, "base64"))) {
      if (bytes === null) continue;
      if (number === STATUS.vertex) this.#vertex(bytes);
      else if (number === STATUS.log) this.#log(bytes);
    }
  }

  #step(digest: string): Step {
    let step = this.#steps.get(digest);
    if (step === undefined) {
      step = { number: this.#steps.size + 1, rest: "", begun: false, ended: false };
      this.#steps.set(digest, step);
    }
    return step;
  }

  #vertex(message: Buffer): void {
    const present = new Set<number>();
    let cached = false;
    for (const { number, value } of fields(message)) {
      present.add(number);
      if (number === VERTEX.cached) cached = value === 1;
    }
    if (!present.has(VERTEX.started)) return;
    const step = this.#step(textField(message, VERTEX.digest));
    const say = (text: string): void => this.line(`#${step.number} ${text}`);
    if (!step.begun) say(textField(message, VERTEX.name));
    step.begun = true;
    if (step.ended || !present.has(VERTEX.completed)) return;
    step.ended = true;
    if (step.rest !== "") say(step.rest);
    const error = textField(message, VERTEX.error);
    say(error !== "" ? `ERROR: ${error}` : cached ? "CACHED" : "DONE");
  }

  #log(message: Buffer): void {
    const step = this.#step(textField(message, LOG.vertex));
    for (const { number, bytes } of fields(message)) {
      if (number !== LOG.message || bytes === null) continue;
      const parts = (step.rest + bytes.toString()).split(/\r?\n/);
      step.rest = (parts.pop() ?? "").slice(-LONGEST_REST);
      for (const part of parts) this.line(`#${step.number} ${part}`);
    }
  }
}
