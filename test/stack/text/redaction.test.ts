import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isOrdinaryWord } from "../../../src/stack/text/ordinary-words.js";
import { createRedactor, REDACTED } from "../../../src/stack/text/redaction.js";

describe("createRedactor with known values", () => {
  const secret = 'p@ss/wörd+"1';
  const { redact } = createRedactor([secret]);

  it.each([
    ["as it is", secret],
    ["in a URL", encodeURIComponent(secret)],
    ["in a URL in lower case", encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase())],
    ["in a form body", new URLSearchParams({ x: secret }).toString().slice(2)],
    ["as JSON", JSON.stringify(secret).slice(1, -1)],
    ["as JSON in JSON", JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
    ["as JSON in ASCII", JSON.stringify(secret).slice(1, -1).replace("ö", "\\u00f6")],
    ["in base64", Buffer.from(secret).toString("base64").replace(/=+$/, "").slice(0, -1)],
    ["in base64url", Buffer.from(secret).toString("base64url").slice(0, -1)],
  ])("a known value is redacted %s", (_name, form) => {
    expect(redact(`before ${form} after`)).not.toContain(form);
    expect(redact(`before ${form} after`)).toMatch(/^before \S*\[redacted\]\S* after$/);
  });

  it("a value inside base64 of user:value is redacted at every alignment", () => {
    for (const user of ["a:", "ab:", "abc:"]) {
      const header = Buffer.from(`${user}hunter2secret`).toString("base64");
      expect(createRedactor(["hunter2secret"]).redact(header)).toContain(REDACTED);
    }
  });

  it("overlapping values are redacted entirely", () => {
    const { redact: both } = createRedactor(["abcdef", "cdefghij", "abcdefgh"]);
    expect(both("x abcdefghij y")).toBe(`x ${REDACTED} y`);
    expect(both("x abcdefgh y")).toBe(`x ${REDACTED} y`);
    expect(both("aaa abcdef cdefghij")).toBe(`aaa ${REDACTED} ${REDACTED}`);
  });

  it("a value that overlaps itself is redacted entirely", () => {
    expect(createRedactor(["aaaaaa"]).redact("aaaaaaaaa")).toBe(REDACTED);
  });

  it("short values and ordinary words are not redacted", () => {
    const text = "db: connection to postgres as user root";
    expect(createRedactor(["db", "", "root", "postgres"]).redact(text)).toBe(text);
  });

  it("values that are added later are redacted", () => {
    const redactor = createRedactor();
    expect(redactor.redact("x topsecret-9 y")).toBe("x topsecret-9 y");
    redactor.add(["topsecret-9"]);
    redactor.add(["topsecret-9"]);
    expect(redactor.redact("x topsecret-9 y")).toBe(`x ${REDACTED} y`);
  });

  it("each line of a value with several lines is redacted", () => {
    const { redact: lines } = createRedactor(["-----BEGIN X-----\nfirst-line-of-it\nsecond-line\n-----END X-----"]);
    expect(lines("got first-line-of-it")).toBe(`got ${REDACTED}`);
    expect(lines("second-line")).toBe(REDACTED);
  });

  it("a value with invisible characters is redacted in sanitised text", () => {
    expect(createRedactor(["se\u200bcret-value"]).redact("my secret-value")).toBe(`my ${REDACTED}`);
  });

  it("no known value remains in any text (property)", () => {
    const value = fc
      .string({ minLength: 6, maxLength: 24 })
      .filter((text) => !REDACTED.includes(text) && !isOrdinaryWord(text));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.string(), fc.string(), (values, a, b) => {
        const redactor = createRedactor(values);
        for (const one of values) {
          const result = redactor.redact(a + one + b);
          expect(result.split(REDACTED).some((part) => part.includes(one))).toBe(false);
        }
      }),
    );
  });

  it("pendingLength covers the longest beginning of a value at the text's end (property)", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 6, maxLength: 9 });
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 5 }),
        fc.string({ unit: fc.constantFrom("a", "b", "c") }),
        (values, text) => {
          const longest = Math.max(
            0,
            ...values.flatMap((one) =>
              Array.from({ length: one.length - 1 }, (_, index) => index + 1).filter((length) =>
                text.endsWith(one.slice(0, length)),
              ),
            ),
          );
          expect(createRedactor(values).pendingLength(text)).toBeGreaterThanOrEqual(longest < 4 ? 0 : longest);
          const parts = createRedactor(values).redact(text).split(REDACTED);
          for (const one of values) expect(parts.some((part) => part.includes(one))).toBe(false);
        },
      ),
    );
  });

  it("text of more than 256 KiB is cut, and never inside a value", () => {
    const text = `${"x".repeat(256 * 1024 - 6)}correct-horse`;
    const shown = createRedactor(["correct-horse"]).redact(text);
    expect(shown.length).toBeLessThan(256 * 1024);
    expect(shown).toMatch(/^x+…$/);
  });

  it("pendingLength is the length of a value's beginning at the text's end", () => {
    const redactor = createRedactor(["correct-horse"]);
    expect(redactor.pendingLength("it is correct-ho")).toBe(10);
    expect(redactor.pendingLength("it is cor")).toBe(0);
    expect(redactor.pendingLength("it is correct-horse")).toBe(0);
    expect(createRedactor().pendingLength("anything")).toBe(0);
  });
});

describe("createRedactor without known values", () => {
  const { redact } = createRedactor();

  it.each([
    ["POSTGRES_PASSWORD=hunter2", `POSTGRES_PASSWORD=${REDACTED}`],
    ["password: hunter2, user: x", `password: ${REDACTED}, user: x`],
    ['{"password":"hun ter\\"2","user":"x"}', `{"password":${REDACTED},"user":"x"}`],
    ["{'api_key': 'abc def'}", `{'api_key': ${REDACTED}}`],
    ['{"db_pwd": 12345, "x": 1}', `{"db_pwd": ${REDACTED}, "x": 1}`],
    ['{\\"pwd\\":\\"a b\\"}', `{\\"pwd\\":${REDACTED}}`],
    [`{"the token": "a b"}`, `{"the token": ${REDACTED}}`],
    ["{'secret': abc}", `{'secret': ${REDACTED}}`],
    ["passwd: hunter2", `passwd: ${REDACTED}`],
    ["kv/app/passwd: hunter2", `kv/app/passwd: ${REDACTED}`],
    ["SECRET = os.path", `SECRET = ${REDACTED}`],
    ["password: process.environment", `password: ${REDACTED}`],
    ["passwd = 'a b c' next", `passwd = ${REDACTED} next`],
    ["DB_PWD=/secret/of/mine", `DB_PWD=${REDACTED}`],
    ["SECRET_KEY=abc&x=1", `SECRET_KEY=${REDACTED}&x=1`],
    ["GET /?token=abc123&x=1 200", `GET /?token=${REDACTED}&x=1 200`],
    ["aws_secret_access_key=wJalrXUt/K7", `aws_secret_access_key=${REDACTED}`],
    ["Authorization: Bearer abc.def.ghi", `Authorization: Bearer ${REDACTED}`],
    ["authorization=Basic dXNlcjpwdw==", `authorization=Basic ${REDACTED}`],
    ['"Authorization": "Bearer abc"', `"Authorization": "Bearer ${REDACTED}"`],
    ["used bearer 0123456789abcdef0123", `used bearer ${REDACTED}`],
    ["postgresql://user:hunter2@db:5432/x", `postgresql://user:${REDACTED}@db:5432/x`],
    ["redis://:p@ss@localhost:6379", `redis://:${REDACTED}@localhost:6379`],
    ["key AKIAIOSFODNN7EXAMPLE used", `key ${REDACTED} used`],
    [`ghp_${"a1".repeat(18)}`, REDACTED],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123", REDACTED],
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x", `${REDACTED} x`],
    ["-----BEGIN PRIVATE KEY-----MIIE", REDACTED],
  ])("the secret in %j is redacted", (text, expected) => {
    expect(redact(text)).toBe(expected);
    expect(redact(expected), "idempotent").toBe(expected);
  });

  it.each([
    "http://localhost:3000/@vite/client 200",
    "PWD=/app",
    "HOME=/\nOLDPWD=/srv\nPWD=/app\n",
    "http://127.0.0.1:8000/health",
    "password authentication failed for user x",
    '    SECRET = os.environ["APP_SECRET"]',
    'password = os.environ.get("DB_PASSWORD")',
    "  password: process.env.DB_PASSWORD,",
    'const token = process.env["TOKEN"];',
    'secret_key = ENV.fetch("SECRET_KEY")',
    'token := os.Getenv("TOKEN"); password := os.Getenv("PASSWORD")',
    "api: /bin/sh -c 'env | sort; id; pwd': Exit code 0 after 0.1 s.",
    "api: /bin/sh -c 'echo $TOKEN': Exit code 0 after 0.1 s.",
    "/etc/passwd: the compose file /etc/passwd leads outside the project's folder",
    "api: cat /etc/passwd: Exit code 0 after 0.1 s.",
    "SyntaxError: Unexpected token: }",
    "password=null token=undefined secret=***",
    "Monkey business: keyboard=yes",
    "INFO:     Application startup complete.",
  ])("%j is not changed", (text) => {
    expect(redact(text)).toBe(text);
  });

  it.each(['password="', "password='a\\", "://a:", "bearer ", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa.", "token "])(
    "a text full of %j is redacted in bounded time",
    (part) => {
      expect(redact(part.repeat(20_000))).toBeTypeOf("string");
    },
  );
});
