/** Folders of a project's part of the state directory whose content belongs to services. The rest is the server's. */
export const SERVICE_FOLDERS: readonly string[] = ["volumes", "anonymous", "deps", "work", "run"];
