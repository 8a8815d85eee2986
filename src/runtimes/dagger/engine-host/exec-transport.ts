/** Selects the program that reaches the machine or container of a runner host. */
import { SDK_VERSION } from "../engine/versions.js";

/** Starts `sh` there; the script and its arguments are appended. */
export interface ExecCommand {
  argv: [string, ...string[]];
  /** For reports: `docker exec dagger-engine-v0.21.8`. */
  description: string;
}

export type Route =
  | { kind: "ways"; ways: ExecCommand[] }
  /** The CLI created the container and chose its name; `programs` are in the CLI's order. */
  | { kind: "unnamed"; programs: string[] }
  | { kind: "unreachable"; reason: string };

/** Docker-compatible programs, in the order in which the CLI tries them. */
const PROGRAMS = ["docker", "podman", "finch", "nerdctl"];
/** Prefix of the names of containers that the CLI starts, before the image's tag. */
export const ENGINE_PREFIX = "dagger-engine-";
/** The CLI's default image; the engine's tag is the version of the CLI. */
export const DEFAULT_ENGINE = `${ENGINE_PREFIX}v${SDK_VERSION}`;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,252}$/;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i;

const unreachable = (reason: string): Route => ({ kind: "unreachable", reason });

export const containerExec = (program: string, name: string): ExecCommand => ({
  argv: [program, "exec", "-i", name, "sh"],
  description: `${program} exec ${name}`,
});

export const isName = (name: string): boolean => NAME.test(name);

const named = (programs: string[], name: string): Route =>
  isName(name)
    ? { kind: "ways", ways: programs.map((program) => containerExec(program, name)) }
    : unreachable(`"${name}" is not the name of a container`);

/** The name that the CLI derives from an image for its container: the tag, or the first digits of the digest. */
function imageContainer(image: string): string {
  const digest = /@sha256:([0-9a-f]{16})/.exec(image)?.[1];
  const tag = /:([^:/@]+)(@|$)/.exec(image)?.[1];
  return `${ENGINE_PREFIX}${digest ?? tag ?? "latest"}`;
}

function kubernetes(url: URL): Route {
  const pod = url.hostname || url.pathname.replace(/^\/+/, "");
  if (!isName(pod)) return unreachable(`"${pod}" is not the name of a pod`);
  const options = (["context", "namespace", "container"] as const).flatMap((name) => {
    const value = url.searchParams.get(name);
    // Joined to its option, so that the value cannot be interpreted as another option.
    return value === null || value === "" ? [] : [`--${name}=${value}`];
  });
  return {
    kind: "ways",
    ways: [
      {
        argv: ["kubectl", "exec", "-i", ...options, pod, "--", "sh"],
        description: ["kubectl exec", ...options, pod].join(" "),
      },
    ],
  };
}

const HERE: Route = { kind: "ways", ways: [{ argv: ["sh"], description: "this machine" }] };

/** @param runnerHost null when the CLI starts its own container */
export function routeOf(runnerHost: string | null): Route {
  if (runnerHost === null || runnerHost === "") return { kind: "unnamed", programs: PROGRAMS };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(runnerHost)?.[1];
  if (scheme === undefined) return unreachable(`"${runnerHost.slice(0, 80)}" is not a runner host`);
  const rest = runnerHost.slice(scheme.length + 3);
  const [target = "", query = ""] = rest.split("?", 2);
  const [what, program] = scheme.split("+") as [string, string | undefined];
  if (program !== undefined && !PROGRAMS.includes(program))
    return unreachable(`containers of "${program}" cannot be entered from here`);
  const programs = program === undefined ? PROGRAMS : [program];
  switch (what) {
    case "unix":
      return HERE;
    case "tcp": {
      const host = target.replace(/:\d+$/, "");
      return LOOPBACK.test(host) ? HERE : unreachable(`the engine is on another machine (${host})`);
    }
    case "docker-container":
    case "podman-container":
    case "nerdctl-container":
      return named([what.replace("-container", "")], target);
    case "container":
      return named(programs, target);
    case "docker-image":
      return named(["docker"], new URLSearchParams(query).get("container") ?? imageContainer(target));
    case "image":
      return named(programs, new URLSearchParams(query).get("container") ?? imageContainer(target));
    case "kube-pod": {
      // The URL class parses hosts of special schemes only; the syntax is the same.
      const url = URL.canParse(runnerHost) ? new URL(runnerHost) : null;
      return url === null ? unreachable("it is not a kube-pod address") : kubernetes(url);
    }
    default:
      return unreachable(`an engine behind ${scheme}:// is on another machine, which cannot be entered from here`);
  }
}
