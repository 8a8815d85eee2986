/**
 * Recognises error messages of container engines about registries, images and users; Docker, Podman and BuildKit share
 * their texts.
 */

/** Failures of a registry that a later attempt may not have. */
const REGISTRY_BUSY =
  /\b(?:408|425|429|500|502|503|504)\b[^\n]{0,40}(?:too many requests|internal server error|bad gateway|service unavailable|gateway time-?out|request timeout|too early)|toomanyrequests|rate limit/i;
const NETWORK =
  /connection (?:reset|refused|timed out)|i\/o timeout|tls handshake timeout|unexpected eof|no route to host|network is unreachable|temporary failure in name resolution|server misbehaving|context deadline exceeded|client\.timeout exceeded|broken pipe|transport is closing|error reading from server/i;

export const NO_IMAGE =
  /failed to resolve (?:image|source)|pull access denied|repository does not exist|manifest unknown|manifest for \S+ not found|invalid reference format|no match for platform|failed to parse (?:image )?reference/i;
const NO_USER = /unable to find (?:user|group) ([^\s:]+)/;

/** Whether another attempt may succeed: the network or the registry did not respond. */
export const isBusy = (message: string): boolean => REGISTRY_BUSY.test(message) || NETWORK.test(message);

/** The user or group that is missing in the image; null for every other message. */
export const missingUser = (message: string): string | null => NO_USER.exec(message)?.[1] ?? null;
