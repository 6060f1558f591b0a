"""The API's own routes, /keepers/v1, with the host's authentication, one at a time in the host's queue."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import base64
import binascii
import logging
import secrets
from collections.abc import Callable
from typing import Any

from modules import call_queue, shared
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from ...core.errors import Cancelled, KeepersError
from ..host import host
from ..job.job import one_line
from . import requests

PREFIX = "/keepers/v1"
logger = logging.getLogger("keepers")
Answer = Callable[[bytes], dict[str, Any]]


def add_routes(_demo: Any, app: Any) -> None:
    """Called when the host's server is up. Without --api the host offers no API, and neither do we."""
    if not (getattr(shared.cmd_opts, "api", False) or getattr(shared.cmd_opts, "nowebui", False)):
        return
    for path, methods, answer in (
        ("models", ["GET"], lambda _: requests.models(host.judge())),
        ("score", ["POST"], _score),
        ("tag", ["POST"], _tag),
        ("unload", ["POST"], _unload),
    ):
        app.add_route(f"{PREFIX}/{path}", _endpoint(answer), methods, f"keepers_{path}")


def _score(body: bytes) -> dict[str, Any]:
    return _used(lambda: requests.score(host.judge(), body))


def _tag(body: bytes) -> dict[str, Any]:
    return _used(lambda: requests.tag(body))


def _unload(_: bytes) -> dict[str, Any]:
    host.release()
    return {"unloaded": True}


def _used(answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    host.judge().retry()
    try:
        return answer()
    finally:
        host.tidy()


def _endpoint(answer: Answer) -> Callable[[Any], Any]:
    async def endpoint(request: Any) -> Any:
        if not allowed(request.headers.get("authorization", ""), getattr(shared.cmd_opts, "api_auth", None)):
            return _refused("Incorrect username or password", 401, {"WWW-Authenticate": "Basic"})
        try:
            body = await _body(request)
            return JSONResponse(await run_in_threadpool(_in_turn, answer, body))
        except requests.BadRequest as error:
            return _refused(one_line(error), error.status)
        except Cancelled as error:
            return _refused(one_line(error), 503)
        except KeepersError as error:
            return _refused(one_line(error), 422)
        except Exception as error:
            logger.exception("Keepers failed in a request")
            return _refused(one_line(error), 500)

    return endpoint


async def _body(request: Any) -> bytes:
    """The body; no more than the limit is kept. Raises BadRequest.

    A body over the limit is read to its end, within reason: a client that is still sending would not see the answer.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= requests.BODY_LIMIT:
            parts.append(part)
        elif size > 4 * requests.BODY_LIMIT:
            break
    if size > requests.BODY_LIMIT:
        raise requests.BadRequest(f"The request has more than {requests.BODY_LIMIT >> 20} MiB.", 413)
    return b"".join(parts)


def _in_turn(answer: Answer, body: bytes) -> dict[str, Any]:
    """Models share the device with generation, so a request waits for its turn as the host's own requests do."""
    with call_queue.queue_lock:
        return answer(body)


def allowed(header: str, credentials: str | None) -> bool:
    """Whether a request is authorised: always without --api-auth, else with one of its "name:password" pairs."""
    if not credentials:
        return True
    kind, _, code = header.partition(" ")
    try:
        given = base64.b64decode(code.strip(), validate=True).decode() if kind.lower() == "basic" else ""
    except (binascii.Error, ValueError):
        return False
    known = [pair.strip() for pair in credentials.split(",")]
    return bool(given) and sum(secrets.compare_digest(given.encode(), pair.encode()) for pair in known) > 0


def _refused(message: str, status: int, headers: dict[str, str] | None = None) -> Any:
    return JSONResponse({"detail": message}, status_code=status, headers=headers)
