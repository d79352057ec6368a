"""What nesgw backfill shows: the hours that it would write, what it wrote, what stays as it is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from nesgw.commands.backfill.plan import HOUR, Bar, Plan
from nesgw.commands.terminal.times import local, which

STAYS: Final = (
    "What stays as it is: the values every five minutes and the graphs of power, costs (their money stands in the hour "
    "after the gap), and helpers that follow the live values, such as utility meters."
)
_WIDTH: Final = 10


def hours_table(title: str, unit: str, planned: Plan) -> Iterator[str]:
    """What would be written for one sensor, hour by hour."""
    yield f"{title}, in {unit}"
    yield f"{'hour from':<16}  {'now':>{_WIDTH}}  {'after':>{_WIDTH}}"
    written = {row.start for row in planned.rows}
    for bar in planned.bars:
        yield _bar(bar, is_written=bar.start in written)
    for shift in planned.shifts:
        yield f"The sums from {moment(shift.start)} on are changed by {shift.amount:+.3f}."
    if planned.begins:
        front = sum(row.start < planned.begins for row in planned.rows)
        yield f"Home Assistant's own hours begin at {moment(planned.begins)}: {hours(front)} are put in front of them."
    if planned.older:
        first = moment(planned.rows[0].start)
        yield f"Older than the meter's memory: {hours(planned.older)}; the hour from {first} has what was used in them."
    if planned.unknown:
        yield f"Not known to the meter either: {hours(len(planned.unknown))}; the next hour has what was used in them."


def _bar(bar: Bar, *, is_written: bool) -> str:
    before = "–" if bar.before is None else f"{bar.before:.3f}"
    words = [which(bar.start), "" if is_written else "(not written: it follows)"]
    line = f"{local(bar.start)}  {before:>{_WIDTH}}  {bar.after:>{_WIDTH}.3f}  {' '.join(filter(None, words))}"
    return line.rstrip()


def nothing_to_fill(right: Sequence[datetime]) -> str:
    """What was compared, where nothing is wrong with it."""
    if not right:
        return "Nothing to be filled: the meter remembers none of Home Assistant's hours."
    span = f"from {moment(right[0])} to {moment(right[-1] + HOUR)}"
    return f"Nothing to be filled: {hours(len(right))} {span} compared, and Home Assistant has what the meter counted."


def not_asked_for(title: str, oldest: datetime, begins: datetime) -> str:
    """What is not filled by itself: nobody knows whether it is wanted."""
    return (
        f"{title}: Home Assistant has nothing from {moment(oldest)} to {moment(begins)}; with --from, what the meter "
        "remembers of that time is filled, too."
    )


def older_than_the_memory(oldest: datetime) -> str:
    """What cannot be filled, whatever is missing there."""
    return f"The meter's memory begins at {moment(oldest)}: hours before that cannot be filled from it."


def hours(count: int) -> str:
    """So many hours, in words."""
    return "1 hour" if count == 1 else f"{count} hours"


def moment(start: datetime) -> str:
    """A moment in local time, and which of two it is."""
    return " ".join(filter(None, (local(start), which(start))))


def still_differing(name: str, found: Sequence[datetime]) -> str:
    """What was not mended, in a sentence without a full stop."""
    shown = ", ".join(moment(each) for each in found[:3]) + (" …" if len(found) > 3 else "")
    return f"{name}: {hours(len(found))} are not what the meter counted ({shown})"
