"""The head of an HTTP/1.x request, from bytes to plain values. Pure, and strict: what is not clean is refused.

A subset of RFC 9112 that suits a service of a few GETs: no continuation lines, no chunked bodies, no bare line feeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

HEAD_END: Final = b"\r\n\r\n"
LONGEST_HEAD: Final = 8192  # bytes, the empty line included
LONGEST_BODY: Final = 1024
MOST_FIELDS: Final = 64
MOST_PARAMETERS: Final = 16

# RFC 9110: a token, a field value (no control characters but the tab), and what may stand in a target.
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_VERSION: Final = re.compile(rb"HTTP/1\.([0-9])")
_ABSOLUTE: Final = re.compile(rb"(?i:http)://([^/?#]*)(.*)")
_LENGTH: Final = re.compile(r"[0-9]{1,9}")


class Refused(Exception):
    """A request that is answered with nothing but a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``fields`` has lower-case names; of a name that came twice the values are joined by commas."""

    method: str
    path: str  # decoded, without the query
    query: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a token
    body: bytes = b""
    keep_alive: bool = True
    client: str = ""  # its address

    @property
    def host(self) -> str | None:
        """What the client believes our name to be; None if it did not say."""
        return self.fields.get("host")


def parse_head(head: bytes) -> tuple[Request, int]:
    """Understand a head up to its empty line; return it with the length of the body that follows.

    Raises Refused.
    """
    first, *lines = head.removesuffix(HEAD_END).split(b"\r\n")
    method, target, minor = _request_line(first)
    fields = _fields(lines)
    if absolute := _ABSOLUTE.fullmatch(target):
        fields["host"], target = absolute[1].decode("ascii"), absolute[2] or b"/"
    if not target.startswith(b"/"):
        raise Refused(400, "the target of a request begins with a slash")
    path, _, query = target.decode("ascii").partition("?")
    options = {option.strip().lower() for option in fields.get("connection", "").split(",")}
    request = Request(
        method=method,
        path=_decoded(path),
        query=_parameters(query.partition("#")[0]),
        fields=fields,
        keep_alive="close" not in options and (minor >= 1 or "keep-alive" in options),
    )
    return request, _body_length(fields)


def _request_line(line: bytes) -> tuple[str, bytes, int]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise Refused(400, "not a line of an HTTP request")
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        raise Refused(505, "nesgw speaks HTTP/1.1")
    return parts[0].decode("ascii"), parts[1], int(version[1])


def _fields(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MOST_FIELDS:
        raise Refused(431, f"more than {MOST_FIELDS} header fields")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Refused(400, "not a header field of HTTP")
        key, text = name.decode("ascii").lower(), value.decode("latin-1").strip(" \t")
        if key in fields and key in ("host", "content-length", "transfer-encoding"):
            raise Refused(400, f"{key} stands there twice")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


def _body_length(fields: Mapping[str, str]) -> int:
    if "transfer-encoding" in fields:
        raise Refused(501, "send the body with a Content-Length")
    text = fields.get("content-length", "0")
    if not _LENGTH.fullmatch(text):
        raise Refused(400, "Content-Length is no number")
    if int(text) > LONGEST_BODY:
        raise Refused(413, f"a body has at most {LONGEST_BODY} bytes")
    return int(text)


def _decoded(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise Refused(400, "the path is not UTF-8") from None


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except (ValueError, UnicodeDecodeError):
        raise Refused(400, "the query cannot be understood") from None
    return dict(pairs)
