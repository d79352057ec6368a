"""How well the probe sits, judged by the last beats, and what to do about it. Pure: no port, no clock, no terminal."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from enum import Enum
from typing import Final

from nesgw.optical.line_test import Attempt

WINDOW: Final = 20  # beats, eight seconds: long enough for a figure, short enough to follow a hand
ENOUGH: Final = 4  # beats before anything is said: the first one may meet a meter that has to switch its port over
GOOD: Final = 0.95  # one beat of the window may fail, or two need a repetition
REFLECTED: Final = 0.8  # so good a swapped probe can look, by stray light alone, as one owner found
NOISY: Final = 0.25  # share of the beats with bytes that nobody sent for


class Outcome(Enum):
    """What a beat shows first and foremost; the value is its mark in the row of the last beats."""

    ANSWERED = "●"
    DAMAGED = "×"  # something of the meter came
    NAK = "n"  # the meter heard something of us
    ECHO = "e"
    SILENT = "·"


class Seat(Enum):
    """How the probe sits; the value says it in a word or two."""

    UNKNOWN = "asking the meter"
    GOOD = "good"
    WEAK = "weak"
    DAMAGED = "only damaged answers"
    ECHO = "only echo"
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
        "the probe hears only itself; beside the port it would, too",
    ),
    Seat.NOTHING: (
        f"{_SWAPPED}, or the probe is beside the port",
        "silent either way? Some probes draw their power from DTR: dtr = true (nesgw align --dtr). "
        "A meter whose session lasted too long ignores its port for five minutes",
    ),
}
_REFLECTION: Final = "if no angle fills the bar, the answers may come by reflection: try it turned by 180°"
_NOISE: Final = (
    "bytes come with the probe idle: shade it from bright light; or the meter's other interface is talking, "
    "then look again after a minute"
)


class Window:
    """The last beats. ``best`` remembers the fullest the bar has been with a whole window behind it."""

    def __init__(self, size: int = WINDOW) -> None:
        self._beats: deque[Attempt] = deque(maxlen=size)
        self.total = 0
        self.best = 0.0

    def add(self, beat: Attempt) -> None:
        """Take note of a beat; the oldest goes."""
        self._beats.append(beat)
        self.total += 1
        if len(self._beats) == self._beats.maxlen:
            self.best = max(self.best, self.quality)

    @property
    def beats(self) -> tuple[Attempt, ...]:
        """The last beats, oldest first."""
        return tuple(self._beats)

    @property
    def quality(self) -> float:
        """How full the bar is, 0 to 1: each answered beat counts, by half where something had to be repeated."""
        answered = [beat for beat in self._beats if beat.answered]
        clean = sum(not (beat.naks or beat.damaged) for beat in answered)
        naked = sum(beat.naks == 1 and not beat.damaged for beat in answered)
        if naked == len(answered) or (naked == 1 and clean == len(answered) - 1):
            clean = len(answered)  # a meter that shares its port refuses a first packet; such a NAK says nothing
        return (len(answered) + clean) / (2 * len(self._beats)) if self._beats else 0.0

    @property
    def seat(self) -> Seat:
        """How the probe sits."""
        answered = any(beat.answered for beat in self._beats)
        if len(self._beats) < ENOUGH:
            return Seat.UNKNOWN
        if answered:
            return Seat.GOOD if self.quality >= GOOD else Seat.WEAK
        return _without_answers(self._beats)

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do, the most likely first."""
        seat = self.seat
        reflected = (_REFLECTION,) if seat is Seat.WEAK and self.quality <= REFLECTED else ()
        return _ADVICE[seat] + reflected + ((_NOISE,) if self._is_noisy else ())

    @property
    def _is_noisy(self) -> bool:
        return bool(self._beats) and sum(beat.noise > 0 for beat in self._beats) / len(self._beats) >= NOISY

    def __str__(self) -> str:
        """Count what was seen."""
        beats = self._beats
        return (
            f"answered {sum(beat.answered for beat in beats)} of {len(beats)}, "
            f"NAK {sum(beat.naks for beat in beats)}, CRC errors {sum(beat.damaged for beat in beats)}, "
            f"echo {sum(beat.echoes for beat in beats)}, noise {sum(beat.noise for beat in beats)} bytes"
        )


def outcome(beat: Attempt) -> Outcome:
    """Give what a beat shows first and foremost."""
    if beat.answered:
        return Outcome.ANSWERED
    if beat.naks:
        return Outcome.NAK
    if beat.echoes:
        return Outcome.ECHO  # damaged packets beside it are the echo's too: a meter's would have been answered
    if beat.damaged or (beat.heard and not beat.noise):
        return Outcome.DAMAGED
    return Outcome.SILENT  # what is heard now and what comes unasked are the same noise


def _without_answers(beats: Iterable[Attempt]) -> Seat:
    """Tell what is wrong where nothing was answered.

    A NAK or a damaged packet shows that the meter is there, unless echoes or noise outnumber them: among enough of
    other light, something always looks like a NAK, and must not hide a swapped probe.
    """
    beats = tuple(beats)
    seen = Counter(outcome(beat) for beat in beats)
    noisy = sum(beat.noise > 0 for beat in beats)
    if seen[Outcome.DAMAGED] + seen[Outcome.NAK] > max(seen[Outcome.ECHO], noisy):
        return Seat.DAMAGED
    return Seat.ECHO if seen[Outcome.ECHO] else Seat.NOTHING
