export function perRun(name: string, fill: (folder: string) => Promise<void>): Promise<string | null>;
export function registryEnvironment(): Record<string, string>;
export default function setup(): (() => void) | undefined;
