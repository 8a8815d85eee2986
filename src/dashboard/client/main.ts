/** Starts the page with the data source that fits how it was opened. */
import { App } from "./app.js";
import { h } from "./dom.js";
import { HostBridge, type HostContext } from "./host-bridge.js";
import { HostSource } from "./host-source.js";
import { RestSource } from "./rest-source.js";
import { keptToken, signIn, takeFragment } from "./sign-in.js";
import { type CommandPolicy, Failure } from "./source.js";

declare const __STACKWARDEN_VERSION__: string;

const page = document.documentElement;

function show(element: HTMLElement): void {
  document.body.replaceChildren(element);
}

const scopeChip = (mayChange: boolean): HTMLElement | string =>
  mayChange ? "" : h("span", { class: "chip", title: "Actions need a token of scope operate" }, "read only");

function overHttp(): void {
  let app: App | null = null;
  const leave = (failure: Failure | null): void => {
    app?.close();
    app = null;
    keptToken.forget();
    show(signIn(enter, failure));
    document.getElementById("token")?.focus();
  };
  const enter = async (token: string): Promise<void> => {
    const { source, access } = await RestSource.open(token);
    keptToken.set(token);
    app = new App({
      source,
      corner: [
        scopeChip(source.mayChange),
        h("span", { class: "hint" }, `token ${access.name}`),
        h("button", { type: "button", class: "quiet", click: () => leave(null) }, "Sign out"),
      ],
      onUnauthorized: leave,
    });
    show(app.element);
  };
  takeFragment();
  // Following a link with another token does not reload the page.
  window.addEventListener("hashchange", () => {
    takeFragment();
    const token = keptToken.get();
    if (app === null && token !== null) enter(token).catch(leave);
  });
  const token = keptToken.get();
  if (token === null) leave(null);
  else enter(token).catch((error: unknown) => leave(error instanceof Failure ? error : new Failure("", String(error))));
}

/** Uses the host's colours only when all of them are present: a mix with our own can be unreadable. */
const HOST_COLOURS = [
  "--color-background-primary",
  "--color-background-secondary",
  "--color-text-primary",
  "--color-text-secondary",
  "--color-border-primary",
];

function follow({ theme, styles }: HostContext): void {
  if (theme === "light" || theme === "dark") page.style.colorScheme = theme;
  const variables = styles?.variables ?? {};
  const fonts = ["--font-sans", "--font-mono"];
  const names = HOST_COLOURS.every((name) => variables[name] !== undefined) ? [...HOST_COLOURS, ...fonts] : fonts;
  for (const name of names) if (variables[name] !== undefined) page.style.setProperty(name, variables[name]);
}

async function inHost(): Promise<void> {
  let app: App | null = null;
  let requestedProject: string | null = null;
  const bridge = new HostBridge({
    onContext: follow,
    onTool: ({ project }) => {
      if (typeof project !== "string") return;
      requestedProject = project;
      app?.choose(project);
    },
    onTeardown: () => app?.close(),
  });
  await bridge.open(__STACKWARDEN_VERSION__);
  const source = new HostSource(bridge, page.dataset.scope === "operate", page.dataset.commands as CommandPolicy);
  app = new App({ source, corner: [scopeChip(source.mayChange)], onUnauthorized: () => undefined });
  show(app.element);
  if (requestedProject !== null) app.choose(requestedProject);
}

if (page.dataset.door === "mcp-app")
  inHost().catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    show(h("p", { role: "alert", class: "failure" }, `The host of this page does not forward tool calls: ${why}`));
  });
else overHttp();
