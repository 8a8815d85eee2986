export interface TestDaemon {
  folder: string;
  socket: string;
  host: string;
  end(signal: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}
export function whyNoDaemon(): string | null;
export function startDaemon(options?: {
  images?: false;
  arguments?: string[];
  bridge?: boolean;
  shortFilter?: boolean;
  firewall?: false;
}): Promise<TestDaemon>;
export function contents(socket: string): Promise<{ containers: string[]; networks: string[]; volumes: string[] }>;
export function dockerCli(socket: string, ...args: string[]): string;
