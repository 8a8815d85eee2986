"""What the stack gives the backend. Nothing here is printed: three of the four values are secrets."""

import os
import socket
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    project_name: str
    instance: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    started_at: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def read_settings() -> Settings:
    """Raises SystemExit that names every missing variable at once."""
    missing = [name for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY") if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"missing environment variables: {', '.join(missing)}")
    return Settings(
        database_url=os.environ["DATABASE_URL"],
        redis_url=os.environ["REDIS_URL"],
        secret_key=os.environ["SECRET_KEY"],
        project_name=os.environ.get("PROJECT_NAME") or "CommandCenter",
    )
