/** Settings of a compose service that are passed to the engine unchanged. */
import type Docker from "dockerode";
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";

type HostSettings = Partial<Docker.HostConfig>;

const entries = (values: Record<string, string> | undefined): boolean =>
  values !== undefined && Object.keys(values).length > 0;

/**
 * Fields of the engine's HostConfig. None of them weakens the hardening of the spec: policy was checked when the file
 * was read. Annotations are left out: runtimes read some as settings, such as `org.systemd.property.TasksMax`.
 */
export function hostSettings(service: ServiceDefinition): HostSettings {
  const { ulimits, extraHosts, sysctls } = service;
  return {
    ...(ulimits === undefined
      ? {}
      : { Ulimits: Object.entries(ulimits).map(([Name, { soft, hard }]) => ({ Name, Soft: soft, Hard: hard })) }),
    ...(extraHosts === undefined
      ? {}
      : {
          ExtraHosts: Object.entries(extraHosts).flatMap(([name, addresses]) =>
            addresses.map((address) => `${name}:${address}`),
          ),
        }),
    ...(service.dns === undefined ? {} : { Dns: service.dns }),
    ...(service.dnsSearch === undefined ? {} : { DnsSearch: service.dnsSearch }),
    ...(service.dnsOptions === undefined ? {} : { DnsOptions: service.dnsOptions }),
    ...(service.shmSizeBytes === undefined ? {} : { ShmSize: service.shmSizeBytes }),
    ...(entries(sysctls) ? { Sysctls: sysctls as Record<string, string> } : {}),
    ...(service.groupAdd === undefined ? {} : { GroupAdd: service.groupAdd }),
    ...(service.oomScoreAdj === undefined ? {} : { OomScoreAdj: service.oomScoreAdj }),
    ...(service.memorySwappiness === undefined ? {} : { MemorySwappiness: service.memorySwappiness }),
    ...(service.cpuset === undefined ? {} : { CpusetCpus: service.cpuset }),
    ...(service.cpuShares === undefined ? {} : { CpuShares: service.cpuShares }),
  };
}

/** Fields of the container itself. */
export function containerSettings(service: ServiceDefinition): Partial<Docker.ContainerCreateOptions> {
  return {
    ...(service.hostname === undefined ? {} : { Hostname: service.hostname }),
    ...(service.domainName === undefined ? {} : { Domainname: service.domainName }),
    ...(service.tty === true ? { Tty: true } : {}),
    ...(service.stdinOpen === true ? { OpenStdin: true } : {}),
  };
}

/**
 * Names under which other services reach it.
 * @param network name in the compose file; an alias from `links` applies to every service on it
 */
export function serviceAliases(service: ServiceDefinition, { services }: StackDefinition, network: string): string[] {
  const { name: own, instanceOf = own } = service;
  const names = new Set([own, instanceOf]);
  const add = (name: string | undefined): void => {
    if (name !== undefined && services[name] === undefined) names.add(name);
  };
  add(service.containerName);
  add(service.hostname);
  for (const alias of service.networks?.[network]?.aliases ?? []) add(alias);
  for (const { links } of Object.values(services))
    for (const [alias, name] of Object.entries(links ?? {})) if (name === instanceOf) add(alias);
  return [...names];
}
