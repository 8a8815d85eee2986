/** A short path for the socket of a database's initialisation. */

/**
 * Sets `folder` to a short path of the shell's working directory, so that a socket in it ends with that folder however the
 * initialisation ends. Without /proc it is a temporary folder, which the shell removes when it is not killed.
 */
export const SHORT_FOLDER = `if [ -d "/proc/$$/cwd/" ]; then folder=/proc/$$/cwd; else folder=$(mktemp -d /tmp/stackwarden-XXXXXX) || exit 1; trap 'rm -rf "$folder"' EXIT; fi`;
