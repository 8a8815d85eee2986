export function makeOrdinaryImages(socket: string, names?: string[]): Promise<void>;
