/** Sign-in form. The token is kept only in the session storage of this tab and never put into a URL. */
import { h, setText } from "./dom.js";
import { Failure } from "./source.js";

const KEY = "stackwarden.token";

export const keptToken = {
  get: (): string | null => sessionStorage.getItem(KEY),
  set: (token: string): void => sessionStorage.setItem(KEY, token),
  forget: (): void => sessionStorage.removeItem(KEY),
};

/** Reads a token from the URL fragment, which browsers do not send, and removes it from the address at once. */
export function takeFragment(): void {
  const token = /^#token=([^&]+)$/.exec(location.hash)?.[1];
  if (token === undefined) return;
  history.replaceState(null, "", location.pathname);
  try {
    keptToken.set(decodeURIComponent(token));
  } catch {
    // A fragment that is not valid URL encoding is not a token.
    keptToken.set(token);
  }
}

/** @param enter throws a Failure when the server rejects the token */
export function signIn(enter: (token: string) => Promise<void>, first: Failure | null): HTMLElement {
  const failure = h("p", { role: "alert", class: "failure" });
  const input = h("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-help",
  });
  const button = h("button", { type: "submit", class: "primary" }, "Open");
  const show = (error: unknown): void => {
    const cause = error instanceof Failure ? error : new Failure("", String(error));
    const refused = cause.code === "UNAUTHORIZED";
    setText(failure, refused ? "This token is not valid." : `${cause.message} ${cause.hint}`.trim());
    input.setAttribute("aria-invalid", String(refused));
    input.select();
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    button.disabled = true;
    try {
      // A token copied from a file can end with a line break.
      await enter(input.value.trim());
    } catch (error) {
      show(error);
    } finally {
      button.disabled = false;
    }
  };
  if (first !== null) show(first);
  return h(
    "main",
    { class: "sign-in" },
    h("h1", {}, "stackwarden"),
    h("p", {}, "Enter a token to see the stacks of this server."),
    h("form", { submit, class: "row" }, h("label", { for: "token", class: "unseen" }, "Token"), input, button),
    failure,
    h(
      "p",
      { id: "token-help", class: "hint" },
      h("code", {}, "stackwarden dashboard"),
      " prints a link with a token. That of ",
      h("code", {}, "stackwarden serve"),
      " is in the file that it names when it starts. A token of scope ",
      h("code", {}, "read"),
      " permits no changes. This page forgets the token when its tab closes.",
    ),
  );
}
