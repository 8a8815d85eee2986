/**
 * Formats unquoted scalars as Compose does. Compose parses numbers, booleans and dates and prints them again, so that
 * `VERSION: 1.10` becomes `1.1` and `UMASK: 022` becomes `18` in a container.
 */

const INTEGER = /^[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-f]+|0|[1-9][0-9]*)$/i;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

function integer(text: string): string | null {
  const sign = text.startsWith("-") ? "-" : "";
  const digits = text.replace(/^[-+]/, "").toLowerCase();
  // A number with a leading zero is octal in YAML 1.1; one with a digit above 7 is not an integer there.
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const value = BigInt(octal);
  if (value > 18_446_744_073_709_551_615n) return null;
  return `${sign}${value}`;
}

/** Formats a float as Go does: with an exponent of at least two digits from 1e+06 upwards and below 1e-04. */
function float(text: string): string {
  const value = Number(text);
  if (value === 0) return text.startsWith("-") ? "-0" : "0";
  const [digits = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 6) return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return String(value);
}

/**
 * The text that Compose passes to a service for an unquoted number or date; null for other scalars, which stay
 * unchanged.
 */
export function plainText(source: string): string | null {
  const text = source.replaceAll("_", "");
  if (INTEGER.test(text) && /^[-+\d]/.test(source)) return integer(text) ?? float(text);
  if (FLOAT.test(text) && /^[-+.\d]/.test(source)) return float(text);
  if (DATE.test(source) && !Number.isNaN(Date.parse(source))) return `${source} 00:00:00 +0000 UTC`;
  return null;
}
