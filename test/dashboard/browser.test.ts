/** Every test in a browser. One file has them all, so that they share one browser: its start costs more than a short test. */
import { afterAll } from "vitest";
import "./dashboard.js";
import "./mcp-app.js";
import "./real-stack.js";
import { closeBrowser } from "./support/browser.js";

afterAll(closeBrowser);
