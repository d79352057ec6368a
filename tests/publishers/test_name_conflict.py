"""Who is a twin and who only a memory."""

from __future__ import annotations

import json

from nesgw.publishers.name_conflict import NameConflict


def status(started: str, uptime: int) -> str:
    return json.dumps({"version": "0.1.0", "started": started, "uptime_s": uptime, "meters": {}})


def test_our_own_words_are_no_twin_even_late() -> None:
    watch = NameConflict()
    watch.published(status("ours", 1))
    watch.published(status("ours", 2))
    assert watch.seen(status("ours", 1), retained=True) is None
    assert watch.seen(status("ours", 2), retained=False) is None


def test_a_living_word_that_is_not_ours_is_a_twin() -> None:
    watch = NameConflict()
    watch.published(status("ours", 1))
    assert watch.seen(status("theirs", 9), retained=False) == "nesgw 0.1.0, started theirs"


def test_what_is_retained_is_a_twin_only_if_it_moves_on() -> None:
    watch = NameConflict()
    assert watch.seen(status("theirs", 9), retained=True) is None
    assert watch.seen(status("theirs", 9), retained=True) is None
    assert watch.seen(status("theirs", 3), retained=True) is None  # a broker restored from an older copy
    assert watch.seen(status("theirs", 10), retained=True) is not None


def test_a_former_run_that_two_brokers_remember_is_no_twin() -> None:
    watch = NameConflict()
    assert watch.seen(status("former", 5), retained=True) is None
    watch.another_broker()  # it went on there, after the first was gone
    assert watch.seen(status("former", 35), retained=True) is None


def test_two_former_runs_are_no_twin() -> None:
    watch = NameConflict()
    assert watch.seen(status("second", 9), retained=True) is None
    assert watch.seen(status("first", 90), retained=True) is None


def test_what_is_no_status_is_nobody() -> None:
    watch = NameConflict()
    for payload in ("", "online", "[]", "{}", '{"started":1,"uptime_s":"x","version":""}'):
        assert watch.seen(payload, retained=False) is None


def test_memory_of_others_is_bounded() -> None:
    watch = NameConflict()
    for number in range(1000):
        watch.seen(status(str(number), 1), retained=True)
        watch.published(status(f"ours {number}", 1))
    assert len(watch._uptimes) <= 16
    assert len(watch._ours) <= 17


def test_nonsense_on_the_topic_is_neither() -> None:
    watch = NameConflict()
    for nonsense in ("", "[]", "{}", "[" * 100_000, f'{{"started": 1, "version": 1, "uptime_s": 1{"0" * 400}}}'):
        assert watch.seen(nonsense, retained=True) is None


OURS = "2026-11-20T10:00:00.000Z"


def test_what_was_written_after_we_were_started_is_no_former_run_although_it_is_retained() -> None:
    """The other one took the connection from us, and is seen for the first time when we are back."""
    watch = NameConflict()
    watch.published(status(OURS, 60))
    assert watch.seen(status("2026-11-20T09:59:00.000Z", 90), retained=True) is not None


def test_a_former_run_that_ended_when_we_began_is_none_and_one_that_says_no_time_has_to_move_on() -> None:
    watch = NameConflict()
    watch.published(status(OURS, 60))
    assert watch.seen(status("2026-11-20T09:59:00.400Z", 60), retained=True) is None
    assert watch.seen(status("yesterday", 10**9), retained=True) is None
    assert watch.seen(status("2026-11-20T09:00:00", 10**9), retained=True) is None
    assert watch.seen(status("9999-12-31T23:59:59Z", 10**9), retained=True) is None


def test_before_we_have_said_when_we_were_started_nobody_is_judged_by_it() -> None:
    assert NameConflict().seen(status(OURS, 90), retained=True) is None
