"""How well the probe sits, judged by the last attempts, and what to do about it. Pure: no port, clock or terminal."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from enum import Enum
from statistics import median
from typing import Final

from nesgw.optical.line_test import Attempt
from nesgw.optical.other_devices import OtherDevice, recognise

WINDOW: Final = 20  # attempts, eight seconds: long enough for a figure, short enough to follow a hand
ENOUGH: Final = 4  # attempts before anything is said: the first one may meet a meter that has to switch its port over
GOOD: Final = 0.95  # one attempt of the window may fail, or two need a repetition
REFLECTED: Final = 0.8  # so good a swapped probe can look, by stray light alone, as one owner found
SLOW: Final = 0.5  # seconds to an answer
RECENT: Final = 2048  # bytes of what came last, by which another device is recognised
NOISY: Final = 0.25  # share of the attempts with bytes that came unasked


class Outcome(Enum):
    """What an attempt shows first and foremost; the value is its mark in the row of the last attempts."""

    ANSWERED = "●"
    DAMAGED = "×"  # something of the meter came
    NAK = "n"  # the meter heard something of us
    ECHO = "e"
    SLOW = "s"  # the meter heard us and was not ready
    SILENT = "·"


class Seat(Enum):
    """How the probe sits; the value says it in a word or two."""

    UNKNOWN = "asking the meter"
    GOOD = "good"
    WEAK = "weak"
    DAMAGED = "only damaged answers"
    ECHO = "only echo"
    SLOW = "slow"
    OTHER = "not a meter"
    NOTHING = "nothing comes back"


_SWAPPED: Final = "transmitter and receiver are swapped: turn it by 180°"

_ADVICE: Final = {
    Seat.UNKNOWN: ("asking the meter who it is …",),
    Seat.GOOD: ("the probe sits well: fix the cable so that it does not pull, done",),
    Seat.WEAK: (
        "light is weak or slanted: turn the probe slowly, shift it by millimetres, seat it flush, clean the window",
    ),
    Seat.DAMAGED: (
        "the meter is there, but light is weak or slanted: turn the probe by a few degrees, seat it flush, "
        "keep bright light off it",
    ),
    Seat.ECHO: (
        _SWAPPED,
        "the probe hears only itself, as it also does when it sits beside the port",
    ),
    Seat.SLOW: (
        "the meter hears every question and answers late or not at all: the probe sits well; if it stays so, "
        "a meter whose session lasted too long ignores its port for five minutes",
    ),
    Seat.NOTHING: (
        f"{_SWAPPED}, or the probe is beside the port",
        "silent either way? Some probes draw their power from DTR: dtr = true (nesgw align --dtr). "
        "A meter whose session lasted too long ignores its port for five minutes",
    ),
}
_REFLECTION: Final = "if no angle fills the bar, the answers may come by reflection: try it turned by 180°"
_SLOW: Final = (
    "an answer takes {seconds:.1f} s: the meter, or the network before it, is slow, and the probe is not to blame; "
    "set a longer poll_interval"
)
_NOISE: Final = (
    "bytes come with the probe idle: shade it from bright light; or the meter's other interface is talking, "
    "then look again after a minute"
)


class Window:
    """The last attempts. ``best`` remembers the fullest the bar has been with a whole window behind it."""

    def __init__(self, size: int = WINDOW) -> None:
        self._attempts: deque[Attempt] = deque(maxlen=size)
        self.total = 0
        self.best = 0.0

    def add(self, attempt: Attempt) -> None:
        """Take note of an attempt; the oldest goes."""
        self._attempts.append(attempt)
        self.total += 1
        if len(self._attempts) == self._attempts.maxlen:
            self.best = max(self.best, self.quality)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The last attempts, oldest first."""
        return tuple(self._attempts)

    @property
    def quality(self) -> float:
        """How full the bar is, 0 to 1: each answered attempt counts, by half where something had to be repeated.

        One that the meter acknowledged and was slow to answer says nothing of the light.
        """
        judged = [attempt for attempt in self._attempts if not attempt.slow]
        answered = [attempt for attempt in judged if attempt.answered]
        clean = sum(not (attempt.naks or attempt.damaged) for attempt in answered)
        if _first_packets_were_refused(answered, clean):
            clean = len(answered)
        return (len(answered) + clean) / (2 * len(judged)) if judged else 0.0

    @property
    def seat(self) -> Seat:
        """How the probe sits."""
        if len(self._attempts) < ENOUGH:
            return Seat.UNKNOWN
        if any(attempt.answered for attempt in self._attempts):
            return Seat.GOOD if self.quality >= GOOD else Seat.WEAK
        if self.device:
            return Seat.OTHER
        return _without_answers(self._attempts)

    @property
    def device(self) -> OtherDevice | None:
        """What else speaks on the port, where nothing was answered."""
        return recognise(b"".join(attempt.strange for attempt in self._attempts)[-RECENT:])

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do, the most likely first."""
        seat = self.seat
        if seat is Seat.OTHER and (device := self.device):
            return (f"{device.what} is on this port: {device.advice}",)
        reflected = (_REFLECTION,) if seat is Seat.WEAK and self.quality <= REFLECTED else ()
        slow = (_SLOW.format(seconds=self._response),) if self._response >= SLOW else ()
        return _ADVICE[seat] + reflected + slow + ((_NOISE,) if self._is_noisy else ())

    @property
    def _response(self) -> float:
        """What an answer takes, in seconds; 0 while there is none."""
        return median([attempt.response for attempt in self._attempts if attempt.response is not None] or [0.0])

    @property
    def _is_noisy(self) -> bool:
        return (
            bool(self._attempts) and sum(attempt.noise > 0 for attempt in self._attempts) / len(self._attempts) >= NOISY
        )

    def __str__(self) -> str:
        """Count what was seen."""
        answered, naks, damaged, echoes, noise = (
            sum(getattr(attempt, name) for attempt in self._attempts)
            for name in ("answered", "naks", "damaged", "echoes", "noise")
        )
        return (
            f"answered {answered} of {len(self._attempts)}, NAK {naks}, CRC errors {damaged}, "
            f"echo {echoes}, noise {noise} bytes"
        )


def _first_packets_were_refused(answered: Sequence[Attempt], clean: int) -> bool:
    """Whether the NAKs are those of a meter that shares its port and refuses a first packet: they say nothing.

    They come with each attempt, or once.
    """
    refused = sum(attempt.naks == 1 and not attempt.damaged for attempt in answered)
    return refused == len(answered) or (refused == 1 and clean == len(answered) - 1)


def outcome(attempt: Attempt) -> Outcome:
    """Give what an attempt shows first and foremost."""
    if attempt.answered:
        return Outcome.ANSWERED
    if attempt.slow:
        return Outcome.SLOW
    if attempt.naks:
        return Outcome.NAK
    if attempt.echoes:
        return Outcome.ECHO  # damaged packets beside it are the echo's too: a meter's would have been answered
    if attempt.damaged or (attempt.heard and not attempt.noise):
        return Outcome.DAMAGED
    return Outcome.SILENT  # what is heard now and what comes unasked are the same noise


def _without_answers(attempts: Iterable[Attempt]) -> Seat:
    """Tell what is wrong where nothing was answered.

    A NAK or a damaged packet shows that the meter is there, unless echoes or noise outnumber them: among enough of
    other light, something always looks like a NAK, and must not hide a swapped probe.
    """
    attempts = tuple(attempts)
    seen = Counter(outcome(attempt) for attempt in attempts)
    noisy = sum(attempt.noise > 0 for attempt in attempts)
    if seen[Outcome.DAMAGED] + seen[Outcome.NAK] > max(seen[Outcome.ECHO], noisy):
        return Seat.DAMAGED
    if seen[Outcome.SLOW] > max(seen[Outcome.ECHO], noisy):
        return Seat.SLOW
    return Seat.ECHO if seen[Outcome.ECHO] else Seat.NOTHING
