/** Decides whether a network of a compose file can have the addresses that the file gives it. */
import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import type { NetworkAddresses } from "../../../stack/definition/types.js";

interface Subnet {
  first: number;
  last: number;
}

const number = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

const block = (address: number, prefix: number): Subnet => {
  const size = 2 ** (32 - prefix);
  const first = Math.floor(address / size) * size;
  return { first, last: first + size - 1 };
};

/** An IPv4 subnet such as 10.5.0.0/16; null for other text. */
function subnetOf(text: string): (Subnet & { prefix: number }) | null {
  const [, address = "", bits = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const prefix = Number(bits);
  return bits === "" || !isIPv4(address) || prefix > 32 ? null : { ...block(number(address), prefix), prefix };
}

const inside = (one: Subnet, other: Subnet): boolean => one.first >= other.first && one.last <= other.last;
const overlap = (one: Subnet, other: Subnet): boolean => one.first <= other.last && other.first <= one.last;

const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map((text) => subnetOf(text) as Subnet);
/** A larger block could contain networks that this machine reaches through its default route. */
const LARGEST = 16;

/** Networks that this machine reaches without its default route: those of its interfaces and, on Linux, its routes. */
function reachable(): Subnet[] {
  const own = Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one?.family === "IPv4" && one.cidr !== null ? (subnetOf(one.cidr) ?? []) : []));
  let table = "";
  try {
    table = readFileSync("/proc/net/route", "latin1");
  } catch {
    return own;
  }
  // Addresses and masks are little-endian hexadecimal numbers.
  const value = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE(0);
  const routes = [...table.matchAll(/^\S+\t([0-9A-F]{8})\t[0-9A-F]{8}\t(?:\S+\t){4}([0-9A-F]{8})\t/gm)].flatMap(
    ([, destination = "", mask = ""]) => {
      const prefix = value(mask).toString(2).replaceAll("0", "").length;
      return prefix === 0 ? [] : [block(value(destination), prefix)];
    },
  );
  return [...own, ...routes];
}

/**
 * A subnet becomes a route of the engine's machine. One outside the private ranges, a large one, or one that the machine
 * already reaches would lead the machine's other connections into the stack.
 * @param sameMachine true when the engine runs on this machine
 * @returns why the addresses cannot be used; null when they can
 */
export function addressFault(ipam: readonly NetworkAddresses[], sameMachine: boolean): string | null {
  const reachableSubnets = sameMachine ? reachable() : [];
  for (const { subnet: text } of ipam) {
    const subnet = subnetOf(text);
    if (subnet === null) return `${text} is not an IPv4 subnet`;
    if (subnet.prefix < LARGEST || !PRIVATE.some((one) => inside(subnet, one)))
      return `${text} is not a private range of at most 65,536 addresses`;
    if (reachableSubnets.some((one) => overlap(subnet, one))) return `${text} is in use on this machine`;
  }
  return null;
}
