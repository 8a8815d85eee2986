/** An authorization server on loopback: metadata, keys, and tokens for clients with the secret. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export async function localIssuer(audience: () => string) {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" }] };
  const asked: string[] = [];
  const overrides: Record<string, { status: number; body: unknown }> = {};
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const answer = async (): Promise<{ status: number; body: unknown }> => {
      const override = overrides[path];
      if (override !== undefined) return override;
      if (path === "/.well-known/oauth-authorization-server")
        return {
          status: 200,
          body: {
            issuer,
            jwks_uri: `${issuer}/keys`,
            token_endpoint: `${issuer}/token`,
            authorization_endpoint: `${issuer}/authorize`,
            response_types_supported: ["code"],
            grant_types_supported: ["client_credentials"],
            token_endpoint_auth_methods_supported: ["client_secret_basic"],
            code_challenge_methods_supported: ["S256"],
          },
        };
      if (path === "/keys") return { status: 200, body: keys };
      if (path !== "/token") return { status: 404, body: {} };
      let form = "";
      for await (const chunk of request) form += chunk;
      const wanted = new URLSearchParams(form);
      const known = request.headers.authorization === `Basic ${Buffer.from("robot:secret").toString("base64")}`;
      if (!known || wanted.get("resource") !== audience()) return { status: 400, body: { error: "invalid_request" } };
      const token = await sign({ sub: "robot", scope: wanted.get("scope") ?? "" });
      return { status: 200, body: { access_token: token, token_type: "Bearer", expires_in: 300 } };
    };
    void answer().then(({ status, body }) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  /** A valid token with the given changes. */
  const sign = (claims: Record<string, unknown>, { key = privateKey, kid = "k1" } = {}): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({
      iss: issuer,
      aud: audience(),
      iat: now,
      exp: now + 300,
      scope: "stackwarden:operate",
      ...claims,
    })
      .setProtectedHeader({ alg: "ES256", kid, typ: "at+jwt" })
      .sign(key);
  };
  return {
    issuer,
    publicKey,
    asked,
    /** Response of a path in place of the usual one. */
    overrides,
    sign,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type LocalIssuer = Awaited<ReturnType<typeof localIssuer>>;
