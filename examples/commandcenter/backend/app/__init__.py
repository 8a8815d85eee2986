"""CommandCenter's backend: a small API on postgres and redis, with misbehaviours on demand."""

# Change it while the stack runs: GET /state tells which source is being served.
SOURCE_VERSION = "1"
