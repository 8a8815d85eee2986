/** Reads networks, network aliases, links and extra hosts. */
import { isIP } from "node:net";
import type { NetworkAddresses, NetworkAttachment, NetworkDefinition } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { readLabels } from "./read-labels.js";

const NETWORK_KEYS = [
  "aliases",
  "interface_name",
  "ipv4_address",
  "ipv6_address",
  "link_local_ips",
  "mac_address",
  "driver_opts",
  "priority",
  "gw_priority",
  "use_service_name_alias",
] as const;

/** The networks of one service; undefined when the file names none and the service is in `default`. */
export function readAttachments(reader: NodeReader | undefined): Record<string, NetworkAttachment> | undefined {
  if (!hasValue(reader)) return undefined;
  const networks: Record<string, NetworkAttachment> = Object.create(null);
  if (reader.isList) for (const name of reader.strings("a network's name")) networks[name] = { aliases: [] };
  else
    for (const [name, value] of reader.entries()) {
      const fields = value.fields(NETWORK_KEYS);
      const text = (field: NodeReader | undefined): string | undefined =>
        hasValue(field) ? field.string() : undefined;
      const [ipv4Address, ipv6Address] = [text(fields.ipv4_address), text(fields.ipv6_address)];
      networks[name] = {
        aliases: hasValue(fields.aliases) ? fields.aliases.strings("a name") : [],
        ...(ipv4Address === undefined ? {} : { ipv4Address }),
        ...(ipv6Address === undefined ? {} : { ipv6Address }),
      };
    }
  return Object.keys(networks).length === 0 ? undefined : networks;
}

/** `ipam.config`; entries without a subnet leave the choice to the runtime. */
function readAddresses(reader: NodeReader | undefined): NetworkAddresses[] {
  if (!hasValue(reader)) return [];
  const { config } = reader.fields(["driver", "config", "options"]);
  return (config?.list() ?? []).flatMap((item) => {
    const fields = item.fields(["subnet", "ip_range", "gateway", "aux_addresses"]);
    const text = (field: NodeReader | undefined): string | undefined => (hasValue(field) ? field.string() : undefined);
    const [subnet, ipRange, gateway] = [text(fields.subnet), text(fields.ip_range), text(fields.gateway)];
    const auxiliary = readLabels(fields.aux_addresses);
    if (subnet === undefined) return [];
    return {
      subnet,
      ...(ipRange === undefined ? {} : { ipRange }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(Object.keys(auxiliary).length === 0 ? {} : { auxiliary }),
    };
  });
}

/** The top-level networks. */
export function readNetworks(reader: NodeReader | undefined): Record<string, NetworkDefinition> {
  const networks: Record<string, NetworkDefinition> = Object.create(null);
  for (const [name, value] of hasValue(reader) ? reader.entries() : []) {
    const fields = value.fields([
      "name",
      "driver",
      "driver_opts",
      "ipam",
      "external",
      "internal",
      "enable_ipv4",
      "enable_ipv6",
      "attachable",
      "labels",
    ]);
    const ipam = readAddresses(fields.ipam);
    networks[name] = {
      internal: hasValue(fields.internal) && fields.internal.boolean() === true,
      external: hasValue(fields.external) && (fields.external.isMap || fields.external.boolean() === true),
      ...(ipam.length === 0 ? {} : { ipam }),
    };
  }
  return networks;
}

/** `links`: alias → service. */
export function readLinks(reader: NodeReader | undefined): Record<string, string> {
  const links: Record<string, string> = Object.create(null);
  for (const text of reader?.strings("a service's name") ?? []) {
    const [service = "", alias = service] = text.split(":");
    links[alias] = service;
  }
  return links;
}

/** `extra_hosts`: addresses by name, from `name=address`, `name:address` or a mapping. */
export function readExtraHosts(reader: NodeReader | undefined): Record<string, string[]> {
  const hosts: Record<string, string[]> = Object.create(null);
  const add = (at: NodeReader, name: string, address: string): void => {
    const bare = address.replace(/^\[(.*)\]$/, "$1");
    if (name === "" || (isIP(bare) === 0 && bare !== "host-gateway"))
      at.invalid("is not a name and an address", 'Write "name=10.0.0.1" or "name=host-gateway".');
    else hosts[name] = [...(hosts[name] ?? []), bare];
  };
  if (reader?.isList)
    for (const item of reader.list()) {
      const text = item.string("name=address") ?? "";
      const [, name = "", address = ""] = /^([^=:]+)[=:](.+)$/.exec(text) ?? [];
      add(item, name, address);
    }
  else
    for (const [name, value] of hasValue(reader) ? reader.entries() : [])
      for (const item of value.listOrOne()) add(item, name, item.string("an address") ?? "");
  return hosts;
}
