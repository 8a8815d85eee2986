/** GraphQL errors of the engine. */
export class EngineError extends Error {
  constructor(message, extensions = {}) {
    super(message);
    this.extensions = extensions;
  }
}
