"""Misbehaviours on demand, to see what the supervisor does about them. All of them are bounded."""

import asyncio
import os
import sys
import threading
import time
import traceback

from fastapi import APIRouter, Query, Request

PAGE = 4096
STEP = 8 * 1024 * 1024
CRASH_CODE = 3

router = APIRouter(prefix="/chaos", tags=["chaos"])


class Chaos:
    """What the process is misbehaving in right now."""

    def __init__(self) -> None:
        self.hanging = False
        self.memory: list[bytearray] = []
        self.burn_until = 0.0

    async def hold(self, request: Request) -> None:
        """Waits while hanging; ends when the caller gives up, so that a shutdown does not wait for it."""
        while self.hanging and not await request.is_disconnected():
            await asyncio.sleep(0.1)

    def calm(self) -> None:
        self.hanging = False
        self.memory.clear()
        self.burn_until = 0.0


def _crash() -> None:
    try:
        raise RuntimeError("chaos: this crash was asked for")
    except RuntimeError:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(CRASH_CODE)


@router.post("/crash", status_code=202)
async def crash() -> dict:
    # A little later, so that the caller gets its answer.
    asyncio.get_running_loop().call_later(0.1, _crash)
    return {"crashing": True, "exit_code": CRASH_CODE}


@router.post("/memory")
async def memory(request: Request, mb: int = Query(ge=1, le=16_384)) -> dict:
    chaos: Chaos = request.app.state.chaos
    left = mb * 1024 * 1024
    while left > 0:
        size = min(STEP, left)
        block = bytearray(size)
        # Zeroed memory is not there until it is written to: one byte a page.
        block[::PAGE] = b"\x01" * len(range(0, size, PAGE))
        chaos.memory.append(block)
        left -= size
        await asyncio.sleep(0)
    return {"held_mb": sum(len(block) for block in chaos.memory) // (1024 * 1024)}


@router.post("/cpu", status_code=202)
async def cpu(request: Request, seconds: float = Query(gt=0, le=300)) -> dict:
    chaos: Chaos = request.app.state.chaos
    busy = time.monotonic() < chaos.burn_until
    chaos.burn_until = time.monotonic() + seconds

    def burn() -> None:
        while time.monotonic() < chaos.burn_until:
            sum(range(10_000))

    if not busy:
        threading.Thread(target=burn, daemon=True).start()
    return {"burning_seconds": seconds}


@router.post("/flood")
def flood(lines: int = Query(ge=1, le=1_000_000)) -> dict:
    # Not async: the server runs it in a worker thread, and health checks still get their answers.
    for number in range(1, lines + 1):
        print(f"flood line {number} of {lines}")
    sys.stdout.flush()
    return {"printed": lines}


@router.post("/hang")
async def hang(request: Request) -> dict:
    request.app.state.chaos.hanging = True
    return {"hanging": True}


@router.post("/calm")
async def calm(request: Request) -> dict:
    request.app.state.chaos.calm()
    return {"hanging": False}
