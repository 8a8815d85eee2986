/** Containers of the engine that are not the stack's: who publishes a port, and what Docker Compose runs. */
import type Docker from "dockerode";
import type { NamedOwner } from "../../shared/port-owner.js";
import { LABEL } from "../leftovers/labels.js";

const COMPOSE = { project: "com.docker.compose.project", folder: "com.docker.compose.project.working_dir" };

/** @returns null when no running container publishes the port, or the engine does not answer */
export async function containerOn(docker: Docker, port: number, protocol: "tcp" | "udp"): Promise<NamedOwner | null> {
  const containers = await docker.listContainers().catch((): Docker.ContainerInfo[] => []);
  const owner = containers.find(({ Ports }) =>
    (Ports ?? []).some(({ PublicPort, Type }) => PublicPort === port && Type === protocol),
  );
  if (owner === undefined) return null;
  const labels = owner.Labels ?? {};
  const project = labels[LABEL.project];
  const composeProject = labels[COMPOSE.project];
  return {
    pid: null,
    program: null,
    container: owner.Names[0]?.replace(/^\//, "") ?? owner.Id.slice(0, 12),
    ...(project === undefined
      ? composeProject === undefined
        ? {}
        : { compose_project: composeProject }
      : { project, service: labels[LABEL.service] ?? "unknown" }),
  };
}

/**
 * A warning when Docker Compose runs services of the same folder: both can run side by side, with separate data.
 * @returns null when it runs none, or the engine does not answer
 */
export async function composeWarning(docker: Docker, folder: string): Promise<string | null> {
  const filters = { label: [`${COMPOSE.folder}=${folder}`] };
  const containers = await docker.listContainers({ filters }).catch((): Docker.ContainerInfo[] => []);
  const projects = [...new Set(containers.flatMap(({ Labels }) => Labels?.[COMPOSE.project] ?? []))];
  if (projects.length === 0) return null;
  const [project] = projects;
  return `Docker Compose runs ${containers.length} container${containers.length === 1 ? "" : "s"} of this folder (project ${projects.join(", ")}). This stack has separate containers, networks and volumes. \`docker compose -p ${project} stop\` ends the others.`;
}
