/** Lines of run_command in a service's log. They carry a mark, because the service did not print them. */

const MARK = /^\[command [0-9a-f]{4}\](?: |$)/;

/** @param id four hexadecimal digits that tell the commands of one log apart */
export const commandMark = (id: string): string => `[command ${id}]`;

export const isCommandLine = (text: string): boolean => MARK.test(text);
