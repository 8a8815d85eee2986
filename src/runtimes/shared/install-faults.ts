/** Recognises transient installer failures: network failures, but never a wrong name or version. */
const TRANSIENT =
  /ETIMEDOUT|ECONNRESET|ECONNREFUSED|ECONNABORTED|EAI_AGAIN|ERR_SOCKET_TIMEOUT|Temporary failure in name resolution|Connection (reset|broken|aborted|refused|timed out)|Read timed out|ReadTimeoutError|ConnectTimeoutError|NewConnectionError|ProtocolError|IncompleteRead|Remote end closed connection|\b(?:HTTP error|Error:?|status(?: code)?:?) ?(?:429|500|502|503|504)\b|\bE(?:429|500|502|503|504)\b|Too Many Requests|Bad Gateway|Service Unavailable|Gateway Time-?out/i;

/** pip warns of a failed connection before it reports that no version was found; that is a network failure too. */
export const isTransient = (output: string): boolean => TRANSIENT.test(output);
