/** The dashboard at `/`. The page is public: it asks for the token and reads everything over REST. */
import type { RequestHandler } from "express";
import { contentSecurityPolicy, dashboardPage } from "../dashboard/page.js";

let page: { html: string; policy: string } | undefined;

export const sendDashboard: RequestHandler = async (_request, response) => {
  if (page === undefined) {
    const html = await dashboardPage({ door: "http" });
    page = { html, policy: contentSecurityPolicy(html) };
  }
  response.setHeader("Content-Security-Policy", page.policy);
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("X-Frame-Options", "DENY");
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  response.type("html").send(page.html);
};
