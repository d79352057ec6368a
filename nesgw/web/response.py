"""Answers, from plain values to bytes: head and body in one piece, always with a length. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from nesgw.web.request import Refused

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

# What every answer of ours says beside its content. An emulated meter says what that meter says, and nothing else.
COMMON: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer. ``bare``: status, type and length are all of its head."""

    status: int
    body: bytes
    content_type: str = TEXT
    fields: tuple[tuple[str, str], ...] = ()
    bare: bool = False
    close: bool = False


def text(status: int, sentence: str, *fields: tuple[str, str]) -> Response:
    """One sentence for a person, whatever was asked for: a program never takes it for data."""
    return Response(status, f"{sentence}\n".encode(), TEXT, fields)


def refusal(refused: Refused) -> Response:
    """Answer what was not understood; the connection cannot be trusted any more."""
    return Response(refused.status, f"{refused.sentence}\n".encode(), close=True)


def json_text(content: object) -> str:
    """JSON without blanks. NaN is none: one that got this far is a defect."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_response(content: object, *, bare: bool = False, close: bool = False) -> Response:
    """An object as JSON, with 200."""
    return Response(200, json_text(content).encode(), JSON, bare=bare, close=close)


def encode(response: Response, *, body: bool = True, keep_alive: bool = True) -> bytes:
    """Write head and body; without the ``body`` for a HEAD request."""
    fields: Mapping[str, str] = {
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        **({} if response.bare else dict(COMMON)),
        **dict(response.fields),
        **({} if response.bare or (keep_alive and not response.close) else {"Connection": "close"}),
    }
    return _head(response.status, fields) + (response.body if body else b"")


def encode_stream_head() -> bytes:
    """Begin server-sent events: the only answer without a length, it ends with the connection."""
    fields = {"Content-Type": "text/event-stream", **dict(COMMON), "Connection": "close", "X-Accel-Buffering": "no"}
    return _head(200, fields)


def _head(status: int, fields: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
