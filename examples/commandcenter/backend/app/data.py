"""What the stack keeps: items in postgres, a counter in redis."""

import logging

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from .stores import Stores

HITS = "commandcenter:hits"

log = logging.getLogger("app")
router = APIRouter(tags=["data"])


class NewItem(BaseModel):
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")


def stores_of(request: Request) -> Stores:
    return request.app.state.stores


@router.get("/items")
async def list_items(request: Request) -> dict:
    rows = await stores_of(request).pool.fetch("SELECT id, name, created_at FROM items ORDER BY id DESC LIMIT 100")
    return {"items": [dict(row) for row in rows]}


@router.post("/items", status_code=201)
async def add_item(request: Request, item: NewItem) -> dict:
    row = await stores_of(request).pool.fetchrow(
        "INSERT INTO items (name) VALUES ($1) RETURNING id, name, created_at", item.name
    )
    log.info("item added", extra={"fields": {"id": row["id"], "name": row["name"]}})
    return dict(row)


@router.get("/hits")
async def read_hits(request: Request) -> dict:
    return {"hits": int(await stores_of(request).redis.get(HITS) or 0)}


@router.post("/hits")
async def count_hit(request: Request) -> dict:
    return {"hits": await stores_of(request).redis.incr(HITS)}


def answer_store_errors(app: FastAPI, kinds: tuple[type[Exception], ...]) -> None:
    """A store that is away is a 503 of one line, not a stack trace with connection details."""

    async def unavailable(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "a store is not available", "kind": type(error).__name__}, status_code=503)

    for kind in kinds:
        app.add_exception_handler(kind, unavailable)
