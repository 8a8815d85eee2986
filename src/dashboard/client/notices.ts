/**
 * Notices of the page: results disappear after a while, failures stay until dismissed, and changes of services are
 * announced to screen readers only.
 */
import { h, setText } from "./dom.js";
import { Failure } from "./source.js";

const DONE_MS = 8000;

export class Notices {
  readonly #done = h("div", { role: "status" });
  readonly #failed = h("div", { role: "alert" });
  /** A visually hidden live region. */
  readonly #announcement = h("div", { role: "status", class: "unseen" });
  readonly element = h("div", { class: "notices" }, this.#failed, this.#done, this.#announcement);

  done(text: string): void {
    const notice = this.#notice("done", text, "");
    this.#done.append(notice);
    setTimeout(() => notice.remove(), DONE_MS);
  }

  failed(what: string, error: unknown): void {
    const { message, hint } = error instanceof Failure ? error : new Failure("", String(error));
    this.#failed.append(this.#notice("failed", `${what} ${message}`, hint));
  }

  /** Announces a message to screen readers. */
  hear(text: string): void {
    setText(this.#announcement, text);
  }

  #notice(kind: string, text: string, hint: string): HTMLElement {
    const notice = h(
      "div",
      { class: `notice ${kind}` },
      h("div", {}, h("p", {}, text), hint !== "" && h("p", { class: "hint" }, hint)),
      h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", click: () => notice.remove() }, "✕"),
    );
    return notice;
  }
}
