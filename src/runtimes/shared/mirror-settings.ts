/**
 * Variables of the server's environment that an installer (pip, npm) gets: only the operator's mirrors and
 * certificates.
 */
const PASSED = [
  /^PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|DEFAULT_TIMEOUT|RETRIES|ONLY_BINARY|NO_BINARY|PREFER_BINARY|CONSTRAINT)$/,
  /^npm_config_(registry|@[^:]+:registry|cafile|ca|strict_ssl|proxy|https_proxy|noproxy|fetch_.*)$/i,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS)$/,
  /^(https?_proxy|no_proxy|all_proxy)$/i,
];

export function mirrorSettings(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && PASSED.some((pattern) => pattern.test(name))) passed[name] = value;
  }
  return passed;
}

/** Settings that name this machine's loopback interface, which a container cannot reach. */
export const isLoopbackMirror = (value: string): boolean => /(?:^|[/@])(?:localhost|127\.|\[::1\])/.test(value);
