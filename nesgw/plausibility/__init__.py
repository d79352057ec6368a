"""The judge of readings: accepted as a whole, held as suspect, or frozen.

Pure: no clock, no I/O, no meter. ``rules`` says what is plausible, ``judge`` how long a doubt may last.
"""

from nesgw.plausibility.judge import Outcome, Plausibility, Verdict
from nesgw.plausibility.rules import Reason

__all__ = ["Outcome", "Plausibility", "Reason", "Verdict"]
