/** The system's Chromium, driven by playwright-core. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** The headless shell starts several times faster. */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MAC = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** Path of the browser, or the one that `CHROMIUM` names. Null if there is none. */
function chromiumPath(): string | null {
  const { CHROMIUM, PATH = "" } = process.env;
  if (CHROMIUM !== undefined && CHROMIUM !== "") return CHROMIUM;
  const folders = PATH.split(delimiter);
  const candidates = [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...MAC];
  return candidates.find((path) => existsSync(path)) ?? null;
}

export const NO_CHROMIUM = chromiumPath() === null;
if (NO_CHROMIUM)
  process.stderr.write(
    "No Chromium found: tests of the dashboard are skipped (npm run setup -- --tests, or CHROMIUM=<path>).\n",
  );

let launched: Promise<Browser> | undefined;

async function launch(): Promise<Browser> {
  try {
    const browser = await chromium.launch({
      executablePath: chromiumPath() ?? "",
      args: [
        "--disable-gpu",
        "--disable-dev-shm-usage",
        // The pages of a context share a process: the start of one costs more than a short test in it.
        "--renderer-process-limit=1",
        "--disable-site-isolation-trials",
      ],
    });
    browser.once("disconnected", () => {
      launched = undefined;
    });
    return browser;
  } catch (error) {
    launched = undefined;
    throw error;
  }
}

/** The browser of all tests; another one when it has ended or could not be started. */
export function sharedBrowser(): Promise<Browser> {
  launched ??= launch();
  return launched;
}

export async function closeBrowser(): Promise<void> {
  await (await launched)?.close();
}
