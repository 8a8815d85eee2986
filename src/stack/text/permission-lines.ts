/** Recognises lines in which a program reports that it lacks a right. */

/** A port from 1 to 1023, for which the local runtime's services would need root. */
const PORT = String.raw`(?:[1-9]\d{0,2}|10[01]\d|102[0-3])(?!\d)`;

/** nginx, Node.js, asyncio and Go, in the forms in which they report it. */
export const PRIVILEGED_PORT = new RegExp(
  [
    String.raw`bind\(\) to \S{1,80}:${PORT} failed \(13: `,
    String.raw`listen EACCES: permission denied \S{0,80}:${PORT}`,
    String.raw`attempting to bind on address \('[^']{0,80}', ${PORT}\).{0,20}permission denied`,
    String.raw`listen (?:tcp|udp)\S? \S{0,80}:${PORT}: bind: permission denied`,
    String.raw`could not bind to address \S{1,80}:${PORT}$`,
  ].join("|"),
  "i",
);

export const NO_PERMISSION =
  /\bEACCES\b|\bEPERM\b|permission denied|operation not permitted|(?:must|needs?|have) (?:to )?be (?:run|started|executed)? ?(?:as )?root|not running as root/i;
