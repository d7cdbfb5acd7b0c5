"""Whether this process answers, and what it needs does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from headrace_api.models import Health
from headrace_api.operations.common import FromStores
from headrace_shared.errors import TransientError
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
INSTANCE: Final = "Headrace-Instance"
PROBES: Final = frozenset({HEALTHZ, READYZ})

_READY_SECONDS: Final = 3.0

_READY: Final = {"status": "ok", "checks": {"log": "ok", "warehouse": "ok"}}
_UNREADY: Final = {"status": "unavailable", "checks": {"log": "ok", "warehouse": "unreachable"}}

health: Final = APIRouter(tags=["health"])


@health.get(HEALTHZ)
async def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@health.get(
    READYZ,
    response_model=Health,
    responses={
        200: {"content": {"application/json": {"example": _READY}}},
        503: {
            "model": Health,
            "description": "What is not ready.",
            "content": {"application/json": {"example": _UNREADY}},
        },
    },
)
async def readyz(found_in: FromStores, request: Request) -> JSONResponse:
    """The log and the warehouse answer; 503 says which does not."""
    answers = await asyncio.gather(_check(found_in.log.ping()), _check(found_in.warehouse.ping()))
    checks = dict(zip(("log", "warehouse"), answers, strict=True))
    good = set(answers) == {"ok"}
    found = Health(status="ok" if good else "unavailable", checks=checks)
    instance_id = request.app.state.instance_id
    return JSONResponse(
        found.model_dump(),
        status_code=200 if good else 503,
        headers={INSTANCE: instance_id} if instance_id else None,
    )


async def _check(asked: Awaitable[None]) -> str:
    try:
        await asyncio.wait_for(asked, _READY_SECONDS)
    except (TransientError, TimeoutError):
        return "unreachable"
    except Exception as error:  # noqa: BLE001 - no table, no right to read it: not ready either
        _log.warning("request.unanswerable", error=str(error))
        return "unusable"
    return "ok"
