/** The dashboard at `/`. The page is public: it asks for the token and reads everything over REST. */
import type { RequestHandler } from "express";
import { contentSecurityPolicy, dashboardPage } from "../dashboard/page.js";

export const sendDashboard: RequestHandler = async (_request, response) => {
  const html = await dashboardPage({ door: "http" });
  response.setHeader("Content-Security-Policy", contentSecurityPolicy(html));
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("X-Frame-Options", "DENY");
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  response.type("html").send(html);
};
