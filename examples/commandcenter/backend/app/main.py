"""The API. Started as `uvicorn app.main:app`; every message is one line of JSON on stdout."""

import asyncio
import hashlib
import hmac
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from . import SOURCE_VERSION, chaos, data
from .logs import configure_logs
from .settings import read_settings
from .stores import StoreError, Stores

# The frontend is a page on this machine, at whatever port it was given.
LOOPBACK = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?"

log = configure_logs()
settings = read_settings()
stores = Stores(settings, log)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await stores.open()
    log.info("started", extra={"fields": {"instance": settings.instance, "version": SOURCE_VERSION}})
    yield
    app.state.chaos.calm()
    await stores.close()
    log.info("stopped", extra={"fields": {"instance": settings.instance}})


app = FastAPI(title=settings.project_name, version=SOURCE_VERSION, lifespan=lifespan)
app.state.stores = stores
app.state.chaos = chaos.Chaos()
app.include_router(data.router)
app.include_router(chaos.router)
data.answer_store_errors(app, StoreError)


@app.middleware("http")
async def only_own_pages(request: Request, call_next):  # noqa: ANN001, ANN201
    """Without this, any page that the user visits could post here: CORS hides the answer, it does not stop the request."""
    origin = request.headers.get("origin")
    if origin is not None and not re.fullmatch(LOOPBACK, origin):
        return JSONResponse({"error": "this origin may not call the API"}, status_code=403)
    return await call_next(request)


app.add_middleware(
    CORSMiddleware,
    allow_origin_regex=LOOPBACK,
    allow_methods=["GET", "POST"],
    allow_headers=["content-type"],
)


@app.get("/health")
async def health(request: Request) -> JSONResponse:
    await app.state.chaos.hold(request)
    postgres, redis = await asyncio.gather(stores.postgres_state(), stores.redis_state())
    good = postgres == "ok" and redis == "ok"
    body = {"status": "ok" if good else "unhealthy", "postgres": postgres, "redis": redis}
    return JSONResponse(body, status_code=200 if good else 503)


@app.get("/state")
async def state() -> dict:
    # Says whether the key is still the same after a restart, and nothing about the key itself.
    key_id = hmac.new(settings.secret_key.encode(), b"key-id", hashlib.sha256).hexdigest()[:8]
    return {
        "project": settings.project_name,
        "instance": settings.instance,
        "pid": os.getpid(),
        "uid": os.getuid(),
        "started_at": settings.started_at,
        "source_version": SOURCE_VERSION,
        "secret_key_id": key_id,
    }
