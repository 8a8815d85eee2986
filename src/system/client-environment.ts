/** The variables of a client that say where its programs are: PATH, its home folder, and those of version managers. */
export const CLIENT_PROGRAM_VARIABLE =
  /^(?:PATH|HOME|NVM_DIR|FNM_DIR|VOLTA_HOME|N_PREFIX|PYENV_ROOT|UV_PYTHON_INSTALL_DIR|MISE_DATA_DIR|ASDF_DATA_DIR|GOENV_ROOT|PNPM_HOME|BUN_INSTALL)$/;

export function clientEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const variables: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && CLIENT_PROGRAM_VARIABLE.test(name)) variables[name] = value;
  return variables;
}
