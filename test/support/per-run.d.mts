export function perRun(name: string, fill: (folder: string) => Promise<void>): Promise<string | null>;
export default function setup(): (() => void) | undefined;
