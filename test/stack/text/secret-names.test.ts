import { describe, expect, it } from "vitest";
import { isOrdinaryWord } from "../../../src/stack/text/ordinary-words.js";
import { createRedactor } from "../../../src/stack/text/redaction.js";
import { isSecretName, NPM_CREDENTIAL, SECRET_FIELDS } from "../../../src/stack/text/secret-names.js";

describe("isSecretName", () => {
  it.each(
    "POSTGRES_PASSWORD PGPASSWORD DB_PASS MYSQL_PWD REDIS_PASSWD PASSWORD password dbPassword SECRET_KEY SECRET_KEY_BASE JWT_SECRET SECRETS API_KEY apiKey APIKEY X-API-KEY AWS_SECRET_ACCESS_KEY STRIPE_KEY KEY PRIVATE_KEY_PEM TLS_PRIVATE CREDENTIALS GOOGLE_CREDENTIALS_JSON GITHUB_TOKEN TOKEN_2 SESSION_TOKEN JWT_SECRET_V2 VAULT_SECRET_ID spring.datasource.password ENCRYPTION_KEY PASSPHRASE".split(
      " ",
    ),
  )("%s is the name of a secret", (name) => expect(isSecretName(name)).toBe(true));

  it.each(
    "SECRET_MANAGER SECRET_PROVIDER TOKEN_TTL TOKEN_EXPIRES_IN ACCESS_TOKEN_EXPIRE_MINUTES JWT_SECRET_NAME POSTGRES_PASSWORD_FILE PASSWORD_MIN_LENGTH PASSWORD_POLICY OAUTH_TOKEN_URL TOKEN_AUDIENCE PUBLIC_KEY STRIPE_PUBLISHABLE_KEY PRIMARY_KEY CACHE_KEY PATH PWD MONKEY BYPASS KEYBOARD HOST PRIVATE_NETWORK POSTGRES_USER POSTGRES_DB KEY_PREFIX".split(
      " ",
    ),
  )("%s is not the name of a secret", (name) => expect(isSecretName(name)).toBe(false));
});

describe("uses of the list of secret names", () => {
  it("the server's log, npm's settings and redaction use the same names", () => {
    for (const field of ["password", "token", "apiKey", "api_key", "clientSecret", "authorization", "env"])
      expect(SECRET_FIELDS).toContain(field);
    for (const line of ["//npm.example/:_authToken=abc", " _password = x", "registry=https://me:pw@npm.example/"])
      expect(NPM_CREDENTIAL.test(`registry=x\n${line}`), line).toBe(true);
    expect(NPM_CREDENTIAL.test("registry=https://npm.example/\n# _auth=x\nkeyring=1\n")).toBe(false);
    expect(createRedactor().redact("client-secret: abcdef, refreshToken: abcdef, private_key=abcdef")).toBe(
      "client-secret: [redacted], refreshToken: [redacted], private_key=[redacted]",
    );
  });
});

it("ordinary words are not redacted in any case, and generated values are", () => {
  const generated = "kY3_v9Qx-2LmNw8Rt5ZsBd7HcFgJp4aUeXoVi1KyMTq";
  const { redact } = createRedactor(["Postgres", "changeme", "disabled", "production", generated]);
  expect(isOrdinaryWord("ChangeMe")).toBe(true);
  expect(redact("postgres: production mode disabled; changeme")).toBe("postgres: production mode disabled; changeme");
  expect(redact(`x ${generated}`)).toBe("x [redacted]");
});
