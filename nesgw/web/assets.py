"""The page's files, out of the package."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from nesgw.web.request import Refused
from nesgw.web.response import Response

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
# The page takes everything from us, and asks nobody else.
_POLICY: Final = ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'")


def names() -> tuple[str, ...]:
    """Everything that may be asked for."""
    return tuple(sorted(each.name for each in _folder().iterdir() if each.name.rpartition(".")[2] in _TYPES))


def read(name: str) -> bytes:
    """The bytes of one file."""
    return _folder().joinpath(name).read_bytes()


def response(name: str) -> Response:
    """One file as an answer. Raises Refused: 404."""
    if name not in names():
        raise Refused(404, "there is nothing here")
    return Response(200, read(name), _TYPES[name.rpartition(".")[2]], (_POLICY,))


def _folder() -> Traversable:
    return files("nesgw.web").joinpath("static")
