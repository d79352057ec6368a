"""The MEP port as a link: no sessions, one signed read after the other; the key is proven by the first of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from nesgw.config.settings import MeterSettings
from nesgw.errors import (
    LoopedBack,
    MepKeyRefused,
    MepLineTooNoisy,
    MepNoAnswer,
    MepRequestDamaged,
    MepTableClosed,
    MeterBusy,
    MeterMisbehaved,
    NesgwError,
    PortShared,
    TableNotPresent,
)
from nesgw.mep.client import NO_KEY, MepClient
from nesgw.mep.digest import DigestKey
from nesgw.mep.frames import AROUND_DATA, LARGEST_READ
from nesgw.mep.link import Link
from nesgw.mep.pace import INTERVAL
from nesgw.meter.poll_plan import POLL
from nesgw.optical.other_devices import OtherDevice, recognise, wrong_device
from nesgw.optical.read_plan import Span
from nesgw.ports.port import Port
from nesgw.ports.serial_port import open_port

_PROOF: Final = Span(0, 0, 1)  # BT00, which every meter has
KEPT_FOR_POLLS: Final = 30  # reads: for the next polls, and to learn the meter again
_AROUND: Final = 35  # bytes on the wire beside those of the table, both ways
_THINKING: Final = 0.02  # seconds of the meter's before it answers
_SEGMENT: Final = 117  # bytes of an answer, after each of which it pauses
_PAUSE: Final = 0.025

# What the meter says of one table: the line is sound, and others can be read.
_OF_A_TABLE: Final = (TableNotPresent, MepTableClosed, MeterMisbehaved, MeterBusy)

ALERTS: Final = (
    "the meter sends alerts, as it does for a MEP device that was registered on it: "
    "nesgw leaves them unanswered, and needs no registration"
)


class MepLink:
    """One MEP port. It is opened for the first read, if none is given, and stays open until ``close``."""

    has_sessions = False
    lateness = 0.0  # no answer of this port is waited for so long

    def __init__(
        self,
        settings: MeterSettings,
        *,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Port] = open_port,
        trace: Callable[..., object] | None = None,
        port: Port | None = None,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._opener = opener
        self._trace = trace
        self._port = port
        self._client: MepClient | None = None
        key = settings.key.reveal() if settings.key else NO_KEY
        self._memory = Link(DigestKey(key))  # outlives the port: the number, and that the key was taken
        self._sound = False  # nothing has interrupted a read since the key was taken

    @property
    def in_session(self) -> bool:
        """Whether tables can be read now."""
        return self._client is not None and self._sound

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received since the start, over every time the port was opened."""
        return self._memory.statistics.bytes_out, self._memory.statistics.bytes_in

    @property
    def spare(self) -> int:
        """How many reads may be made now without waiting for the average that the guide asks for."""
        return self._memory.pace.spare(self._clock())

    @property
    def jumps(self) -> int:
        """How often the meter moved its sequence number for no reason of ours: its dimensions may be others then."""
        return self._memory.statistics.unexpected_numbers

    @property
    def notice(self) -> NesgwError | None:
        """What a person should mend although reading goes on."""
        return self._client.notice if self._client else None

    @property
    def remark(self) -> str | None:
        """What its owner should know of this port, once."""
        return ALERTS if self._memory.statistics.alerts else None

    @property
    def _connected(self) -> MepClient:
        self.connect()
        assert self._client is not None  # noqa: S101 (connect has made it)
        return self._client

    def connect(self) -> None:
        """Open the port with Enable on, if it is not open. Raises PortUnavailable."""
        if self._client is None:
            place = self._settings
            if self._port is None:
                self._port = self._opener(place.port, baud=place.baud, rts=True, dtr=False)
            self._client = MepClient(
                self._port,
                self._memory,
                clock=self._clock,
                sleep=self._sleep,
                stop=self._stop,
                trace=self._trace,
                key_form=place.key_form,
            )

    def limit(self, until: float) -> None:
        """Let every read that passes this time of the clock end in PollTooLong."""
        self._connected.limit(until)

    def open_session(self) -> None:
        """Have the meter take the key, unless it has. Nothing but a read shows that."""
        client = self._connected
        if not self._memory.key_proven:
            with self._explained(), suppress(TableNotPresent, MeterMisbehaved):  # of the table, signed with our key
                client.read(_PROOF.table, _PROOF.offset, _PROOF.size)
        self._sound = True

    def read(self, span: Span) -> bytes:
        """Read exactly one span."""
        with self._interrupted():
            return self._connected.read(span.table, span.offset, span.size)

    def read_all(self, spans: Sequence[Span]) -> dict[Span, bytes]:
        """Read several spans, each up to its table's end; those that stand close together in one answer."""
        with self._interrupted():
            return self._connected.read_all(spans)

    @contextmanager
    def _interrupted(self) -> Iterator[None]:
        """Tell what is of one table from what leaves the line unsound.

        A key that was taken and is refused in the end is shown again by ``open_session``, and refused there: no table
        is closed for that.
        """
        try:
            with self._explained():
                yield
        except _OF_A_TABLE:
            raise
        except MepKeyRefused as refusal:
            self._sound = False
            raise MepRequestDamaged(port=self._settings.port, service=refusal.facts["service"], attempts=2) from refusal
        except BaseException:
            self._sound = False
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say who else has the port, or what is on it in place of a meter, where that is seen."""
        try:
            yield
        except LoopedBack:
            raise
        except (MepNoAnswer, MepLineTooNoisy) as trouble:
            name = self._settings.port
            if holder := self._port.holder() if self._port else None:
                raise PortShared(port=name, holder=holder) from trouble
            device = recognise(self._memory.take_strange())
            if device not in (None, OtherDevice.ZEROS):
                raise wrong_device(device, **trouble.facts) from trouble
            raise

    def seconds(self, size: int) -> float:
        """How long reading so many bytes takes at the most, on a sound line; outside a session, with opening one.

        What is read beside the polls leaves them enough of the average that the guide asks for.
        """
        timing, now = self._memory.timing, self._clock()
        most = self._memory.answer_size.largest_read(now) if self._client else LARGEST_READ
        pieces = [min(most, size - start) for start in range(0, size, most)]
        beginning = timing.spacing if self._client else timing.settle
        if not self._memory.key_proven:
            pieces += [_PROOF.size] * 2  # once with a number of ours, and again with the meter's
        # Polls a second apart share out the reads by themselves: ``poll_plan``.
        kept = KEPT_FOR_POLLS if self._settings.poll_interval > POLL else 0
        waiting = max(0, len(pieces) + kept - self.spare) * INTERVAL
        return beginning + waiting + sum(max(timing.spacing, self._seconds(piece)) for piece in pieces)

    def _seconds(self, size: int) -> float:
        on_the_wire = (_AROUND + size) * 10 / self._settings.baud
        return on_the_wire + _THINKING + (AROUND_DATA + size) // _SEGMENT * _PAUSE

    def wait(self, seconds: int) -> None:
        """Let time pass: silence costs nothing here."""

    def terminate(self, budget: float | None = None) -> None:  # noqa: ARG002 (takes no time)
        """Hold the next read to beginning afresh; there is nothing to send for that."""
        self._sound = False

    def learn_from(self, error: BaseException) -> None:
        """Choose nothing: long answers that are cut, and a damaged line, are learnt of below."""

    def close(self) -> None:
        """Give the port back; Enable goes off with it."""
        self._client, self._sound = None, False
        if self._port is not None:
            self._port.close()
            self._port = None
