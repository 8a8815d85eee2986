/** The namespace settings that a server applies to its services, and the account files that services see. */
import { existsSync } from "node:fs";
import { mkdir, readFile, realpath } from "node:fs/promises";

import { dirname, join } from "node:path";
import type { Enforcement } from "../../../stack/runtime.js";
import { atomicWrite } from "../../../system/atomic-write.js";
import { repositoryFolder } from "../../../system/git-worktree.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { realPath } from "../../../system/real-path.js";
import { hasLoopbackNameServer, NAME_SERVER, type NetworkNamespace } from "../network/namespace.js";
import { SERVICE_FOLDERS } from "../service-folders.js";
import type { ServiceUser } from "../types.js";
import { joinedNamespaces, ownNamespaces } from "./find-sandbox.js";
import type { Inside, LaunchSpec } from "./launch.js";
import { mountPlace } from "./mount-places.js";
import {
  hiddenFolders,
  neededOfRun,
  programFolders,
  type SandboxHost,
  type SandboxMount,
  type SandboxTools,
  type SandboxView,
  sandboxArgs,
  TEMPORARY,
  targetsOf,
} from "./sandbox.js";
import { inodeAt, type Pin } from "./sandbox-check.js";
import type { UserNamespaces } from "./user-namespaces.js";

type Namespaces = Pick<LaunchSpec, "namespaces">;

/** The program and the folders of PATH, where the server chose both. */
const programsOf = ({ argv, env }: { argv: readonly string[]; env: Record<string, string> }): string[] => [
  ...argv.slice(0, 1),
  ...inFolders((env.PATH ?? "").split(":").filter((one) => one.startsWith("/"))),
];

/** Stand-ins for any program in these folders. */
export const inFolders = (folders: readonly string[]): string[] => folders.map((folder) => `${folder}/program`);

/** An inode that no file has: the comparison fails. */
const NO_INODE = { dev: 0n, ino: 0n };

/** The folders and files that bubblewrap is about to mount, as they are now. */
function pinsOf({ visible, mounts, files }: Required<SandboxView>): Pin[] {
  const folders = [
    ...visible.map((path) => ({ source: path, target: path })),
    ...mounts.map((mount) => ({ source: "source" in mount ? mount.source : null, target: mount.target })),
  ];
  const ofFiles = Object.entries(files).map(
    ([source, place]): Pin => ({ target: realPath(place), inode: inodeAt(source) ?? NO_INODE, orMachines: true }),
  );
  return folders
    .flatMap(({ source, target }): Pin[] => {
      if (source === null) return [{ target, inode: null }];
      const inode = inodeAt(source);
      // A folder that is visible where it exists may be missing.
      return inode === null && !existsSync(source) ? [] : [{ target, inode: inode ?? NO_INODE }];
    })
    .concat(ofFiles);
}

export class Sandbox {
  /** Account files that were already written, by user id. */
  readonly #accounts = new Map<number, Promise<Record<string, string>>>();
  #resolver: Promise<string> | undefined;

  private constructor(
    private readonly stateDir: string,
    private readonly host: SandboxHost | null,
    readonly enforcement: Enforcement,
  ) {}

  /** @param tools the programs, or the reason why services have no namespaces */
  static async create(stateDir: string, tools: SandboxTools | { reason: string }): Promise<Sandbox> {
    if ("reason" in tools)
      return new Sandbox(stateDir, null, {
        level: "none",
        reason: `Services have no separate namespaces: ${tools.reason}.`,
      });
    return new Sandbox(
      stateDir,
      { tools, ...(await hiddenFolders(tools, stateDir)) },
      {
        level: "enforced",
        reason: "namespaces of processes, IPC, host name and mounts by bubblewrap",
      },
    );
  }

  /** Where a server that is not root makes namespaces; null on a root server, and without namespaces. */
  get users(): UserNamespaces | null {
    return this.host?.tools.users ?? null;
  }

  /** Whether a service's namespaces hide the folders above this path, so that only what is shown of them counts. */
  isBelowHidden(path: string): boolean {
    return this.host?.hidden.some((folder) => path !== folder && isBeneath(folder, path)) ?? false;
  }

  /** Whether a service with this view does not see the path, because its namespaces hide a folder above it. */
  hides(path: string, { visible, programs, mounts = [] }: SandboxView): boolean {
    if (this.host === null || !this.isBelowHidden(path)) return false;
    const { hidden } = this.host;
    const targets = [...this.#repositories(visible), ...mounts].map(({ target }) => target);
    const shown = [
      ...this.#shared(this.host),
      ...this.#shown(visible),
      ...programFolders(programs, hidden),
      ...targets,
    ];
    return !shown.some((folder) => isBeneath(folder, path));
  }

  /**
   * Where a service sees a folder that is mounted at this path of a container.
   * @param needed folders and programs of this machine that the service needs
   * @returns null when it cannot be shown there
   */
  async mountPlace(target: string, needed: readonly string[]): Promise<string | null> {
    if (this.host === null) return null;
    return mountPlace(target, needed, [...TEMPORARY, ...this.host.hidden]);
  }

  /** For a new instance, or for a command in its own namespaces. */
  async own(spec: {
    argv: string[];
    env: Record<string, string>;
    user: ServiceUser;
    visible?: readonly string[];
    programs?: readonly string[];
    mounts?: readonly SandboxMount[];
    files?: Readonly<Record<string, string>>;
    network?: NetworkNamespace;
  }): Promise<Namespaces> {
    const { host } = this;
    if (host === null || spec.visible === undefined) return {};
    const view = {
      visible: this.#shown(spec.visible),
      programs: spec.programs ?? programsOf(spec),
      files: { ...(await this.#accountFiles(spec.user)), ...spec.files },
      mounts: [...this.#repositories(spec.visible), ...(spec.mounts ?? [])],
    };
    if (spec.network !== undefined) Object.assign(view.files, await this.#nameServer());
    const pins = [...pinsOf(view), ...this.#hiddenInside(view.visible)];
    const args = sandboxArgs({ ...host, shared: this.#shared(host) }, view);
    // A file of the machine may be a link, as /etc/resolv.conf often is: the mount is at its end.
    const linkedFiles = Object.values(view.files).map((place) => realPath(place));
    const targets = [...targetsOf(args), ...linkedFiles];
    const network = spec.network?.options ?? [];
    return { namespaces: ownNamespaces(host.tools, args, { pins, targets, network }) };
  }

  /**
   * What a service needs of these folders. On a server that is not root its services could read the server's records
   * of a project, such as its secrets: of a folder of the state directory they see the parts that are for services.
   */
  #shown(visible: readonly string[]): readonly string[] {
    if (this.host === null || this.host.tools.users === null) return visible;
    const state = realPath(this.stateDir);
    return visible
      .map(realPath)
      .flatMap((path) => (isBeneath(state, path) ? SERVICE_FOLDERS.map((name) => join(path, name)) : [path]));
  }

  #shared({ shared, tools }: SandboxHost): readonly string[] {
    return [...shared, ...neededOfRun(tools)];
  }

  /** The repositories of linked git work trees: builds ask git for a version. */
  #repositories(visible: readonly string[]): SandboxMount[] {
    return visible.flatMap((folder) => {
      const repository = repositoryFolder(folder);
      if (repository === null || !this.isBelowHidden(repository)) return [];
      // It is mounted after these and would cover them.
      const inside = [...(this.host?.hidden ?? []), ...visible.map(realPath)];
      if (inside.some((one) => isBeneath(repository, one))) return [];
      return [{ source: repository, target: repository, readOnly: true }];
    });
  }

  /** Hidden folders in visible ones, whose owner could replace them by a link while bubblewrap mounts. */
  #hiddenInside(visible: readonly string[]): Pin[] {
    const inside = (this.host?.hidden ?? []).filter((folder) =>
      visible.some((one) => one !== folder && isBeneath(one, folder)),
    );
    return inside.filter((folder) => existsSync(folder)).map((target) => ({ target, inode: null }));
  }

  /** The name server of services with their own network, where theirs is on the machine's loopback interface. */
  async #nameServer(): Promise<Record<string, string>> {
    if (!hasLoopbackNameServer()) return {};
    const place = await realpath("/etc/resolv.conf").catch(() => null);
    if (place === null) return {};
    this.#resolver ??= (async () => {
      const text = await readFile(place, "utf8").catch(() => "");
      const rest = text.split("\n").filter((line) => /^\s*(?:search|options|domain)\s/.test(line));
      const path = join(this.stateDir, "accounts", "resolv.conf");
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await atomicWrite(path, `${[`nameserver ${NAME_SERVER}`, ...rest].join("\n")}\n`, 0o644, false);
      return path;
    })();
    return { [await this.#resolver]: place };
  }

  /**
   * For a command in a running instance.
   * @throws Error when the first process of its namespaces has ended
   */
  joined(inside: Inside): Namespaces {
    return this.host === null ? {} : { namespaces: joinedNamespaces(this.host.tools, inside) };
  }

  /**
   * The account files of the machine plus the service's user: programs such as initdb need a name for their user id.
   */
  #accountFiles(user: ServiceUser): Promise<Record<string, string>> {
    const written = this.#accounts.get(user.uid) ?? this.#writeAccounts(user);
    this.#accounts.set(user.uid, written);
    written.catch(() => this.#accounts.delete(user.uid));
    return written;
  }

  async #writeAccounts({ uid, gid }: ServiceUser): Promise<Record<string, string>> {
    const name = `stackwarden-${uid}`;
    const lines = {
      passwd: `${name}:x:${uid}:${gid}:stackwarden service:/nonexistent:/usr/sbin/nologin\n`,
      group: `${name}:x:${gid}:\n`,
    };
    const files: Record<string, string> = {};
    for (const [file, line] of Object.entries(lines)) {
      const own = await readFile(`/etc/${file}`, "utf8").catch(() => "");
      const path = join(this.stateDir, "accounts", `${uid}.${file}`);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await atomicWrite(path, `${own}${own === "" || own.endsWith("\n") ? "" : "\n"}${line}`, 0o644, false);
      files[path] = `/etc/${file}`;
    }
    return files;
  }
}
