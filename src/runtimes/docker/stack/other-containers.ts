/** Finds the container that publishes a port, and the containers that Docker Compose runs. */
import type Docker from "dockerode";
import { PROJECT_ID, SERVICE_NAME } from "../../../stack/project-id.js";
import type { NamedOwner } from "../../shared/port-owner.js";
import { LABEL } from "../leftovers/labels.js";

const COMPOSE = { project: "com.docker.compose.project", folder: "com.docker.compose.project.working_dir" };

/** Any image can declare labels: only what has the form of a name may appear in a message or a command. */
const named = (label: string | undefined, form: RegExp): string | undefined =>
  label !== undefined && form.test(label) ? label : undefined;

/** @returns null when no running container publishes the port, or the engine does not answer */
export async function containerOn(docker: Docker, port: number, protocol: "tcp" | "udp"): Promise<NamedOwner | null> {
  const containers = await docker.listContainers().catch((): Docker.ContainerInfo[] => []);
  const owner = containers.find(({ Ports }) =>
    (Ports ?? []).some(({ PublicPort, Type }) => PublicPort === port && Type === protocol),
  );
  if (owner === undefined) return null;
  const labels = owner.Labels ?? {};
  const project = named(labels[LABEL.project], PROJECT_ID);
  const composeProject = named(labels[COMPOSE.project], PROJECT_ID);
  return {
    pid: null,
    program: null,
    container: owner.Names[0]?.replace(/^\//, "") ?? owner.Id.slice(0, 12),
    ...(project === undefined
      ? composeProject === undefined
        ? {}
        : { compose_project: composeProject }
      : { project, service: named(labels[LABEL.service], SERVICE_NAME) ?? "unknown" }),
  };
}

/**
 * A warning when Docker Compose runs services of the same folder: both can run side by side, with separate data.
 * @returns null when it runs none, or the engine does not answer
 */
export async function composeWarning(docker: Docker, folder: string): Promise<string | null> {
  const filters = { label: [`${COMPOSE.folder}=${folder}`] };
  const containers = await docker.listContainers({ filters }).catch((): Docker.ContainerInfo[] => []);
  const projects = [...new Set(containers.flatMap(({ Labels }) => named(Labels?.[COMPOSE.project], PROJECT_ID) ?? []))];
  if (projects.length === 0) return null;
  const [project] = projects;
  return `Docker Compose runs ${containers.length} container${containers.length === 1 ? "" : "s"} of this folder (project ${projects.join(", ")}). This stack has separate containers, networks and volumes. \`docker compose -p ${project} stop\` ends the others.`;
}
