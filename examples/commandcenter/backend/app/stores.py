"""Postgres and redis: opened once, with retry, and each asked with a time-out."""

import asyncio
import logging

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from .settings import Settings

TIMEOUT_S = 2.0
CONNECT_TRIES = 20

CREATE = """
CREATE TABLE IF NOT EXISTS items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
)
"""

StoreError = (OSError, asyncio.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError)


class Stores:
    def __init__(self, settings: Settings, log: logging.Logger) -> None:
        self._url = settings.database_url
        self._log = log
        self._pool: asyncpg.Pool | None = None
        self.redis: Redis = Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise asyncpg.InterfaceError("postgres is not connected yet")
        return self._pool

    async def open(self) -> None:
        """Tries for about 30 s: postgres may still be coming up. Raises the last error."""
        for attempt in range(1, CONNECT_TRIES + 1):
            try:
                pool = await asyncpg.create_pool(
                    self._url, min_size=1, max_size=5, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S
                )
                try:
                    await pool.execute(CREATE)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
                return
            except StoreError as error:
                # Only the kind: a driver's message may quote the connection string.
                fields = {"try": attempt, "error": type(error).__name__}
                self._log.warning("postgres is not ready", extra={"fields": fields})
                if attempt == CONNECT_TRIES:
                    raise
                await asyncio.sleep(min(0.2 * attempt, 2.0))

    async def postgres_state(self) -> str:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return "ok" if await self.pool.fetchval("SELECT 1") == 1 else "wrong answer"
        except StoreError as error:
            return f"failed: {type(error).__name__}"

    async def redis_state(self) -> str:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return "ok" if await self.redis.ping() else "wrong answer"
        except StoreError as error:
            return f"failed: {type(error).__name__}"

    async def close(self) -> None:
        await self.redis.aclose()
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._pool.close()
        except asyncio.TimeoutError:
            self._pool.terminate()
