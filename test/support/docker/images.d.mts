export function buildImage(socket: string, tag: string, instructions: string[], from?: string): Promise<void>;
export function importImages(socket: string): Promise<void>;
export function makeImages(socket: string, names?: string[]): Promise<void>;
export function instructionsOf(name: string): string[];
export const BUSYBOX: string;
