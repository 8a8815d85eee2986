/** What the engine answers as a GraphQL error. */
export class EngineError extends Error {
  constructor(message, extensions = {}) {
    super(message);
    this.extensions = extensions;
  }
}
