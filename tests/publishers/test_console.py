"""When the utility has the M-Bus read, in words; the entries are written by hand from the guide's ET13."""

import pytest

from nesgw.publishers.console import schedule
from nesgw.tables.mbus import ReadPlan, decode_read_plan
from nesgw.tables.register import EXTENDED, Part

OFF = "27 00 00 04"  # day 39, never


def plans(*entries: str) -> list[ReadPlan]:
    part = Part("ET13", EXTENDED + 13, 0, 28)
    return [decode_read_plan(part, bytes.fromhex(entry) + bytes(24), "little") for entry in entries]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["01 00 00 01", OFF, OFF, OFF], "the utility reads sub-meters daily at 00:00"),
        (["01 00 05 00", OFF], "the utility reads sub-meters hourly at minute 5"),
        (["20 04 1e 02"], "the utility reads sub-meters weekly on Sundays at 04:30"),
        (["1c 17 3b 03"], "the utility reads sub-meters monthly on day 28 of the month at 23:59"),
        (["01 00 00 01", "01 00 00 01"], "the utility reads sub-meters daily at 00:00"),
        (
            ["01 00 00 01", OFF, "01 00 0f 00", OFF],
            "the utility reads sub-meters: channel 1 daily at 00:00, channel 3 hourly at minute 15",
        ),
        ([OFF] * 4, "no M-Bus channel is scheduled: ask the utility"),
        (["01 00 00 04"], "no M-Bus channel is scheduled: ask the utility"),
        ([], "this meter has no M-Bus"),
        (["01 19 05 00"], "the utility reads sub-meters hourly at minute 5"),  # of which no hour is asked
        (["01 06 00 07"], "the utility reads sub-meters at 06:00 (period 7)"),
        (["01 ff 63 01"], "the utility reads sub-meters daily, at a time that makes no sense (255:99)"),
    ],
)
def test_the_schedule_of_the_sub_meters_is_a_sentence(entries: list[str], said: str) -> None:
    assert schedule(plans(*entries)) == said
