"""The load profile for those who ask by HTTP: what is over does not change, so the meter is asked for it once.

Called by one thread only. Rows are kept as packed text: a day is about a kilobyte.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from nesgw.errors import NesgwError
from nesgw.web import api
from nesgw.web.response import JSON, Response, json_text, text
from nesgw.web.snapshot import ProfileRow, ProfileSource

KEPT: Final = 128  # answers
LONGEST_KEPT: Final = 16 * 1024  # bytes of one, packed
# An interval is in the profile some seconds after its end; one that the meter did not write comes never.
SETTLED: Final = timedelta(hours=1)

_Question = tuple[str, datetime, datetime]


class ProfileCache:
    """Asks the meter, or remembers."""

    def __init__(self, source: ProfileSource) -> None:
        self._source = source
        self._kept: OrderedDict[_Question, bytes] = OrderedDict()

    def answer(self, name: str, meter: str | None, since: datetime, until: datetime, now: datetime) -> Response:
        """Return the rows as JSON, or 503 with the sentence that says why not. ``meter`` is the id behind the name."""
        question = (meter or name, since, until)
        if (packed := self._kept.get(question)) is not None:
            self._kept.move_to_end(question)
            return Response(200, zlib.decompress(packed), JSON)
        try:
            body = _body(self._source(name, since, until))
        except NesgwError as error:
            return text(503, str(error))
        if until + SETTLED < now and len(body) > len(_body(())):
            self._keep(question, zlib.compress(body))
        return Response(200, body, JSON)

    def _keep(self, question: _Question, packed: bytes) -> None:
        if len(packed) <= LONGEST_KEPT:
            self._kept[question] = packed
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def _body(rows: Iterable[ProfileRow]) -> bytes:
    return f"[{','.join(json_text(api.profile_row(row)) for row in rows)}]".encode()
