"""Log lines: readable in the journal, and never with a secret in them."""

import json

import pytest
import structlog

from nesgw.gateway import logs

KEY = b"a7941d85bce8a8fa2ab7"


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


def test_a_journal_line_has_priority_meter_sentence_and_facts(capsys):
    logs.set_up("info", "journal")
    structlog.get_logger().bind(meter="house").warning("no answer", attempts=4)
    assert capsys.readouterr().err == "<4>house: no answer [attempts=4]\n"


def test_lines_below_the_level_are_not_written(capsys):
    logs.set_up("warning", "journal")
    structlog.get_logger().info("nobody asked")
    assert capsys.readouterr().err == ""


def test_json_lines_are_json(capsys):
    logs.set_up("info", "json")
    structlog.get_logger().info("reading", power=2710)
    assert json.loads(capsys.readouterr().err)["power"] == 2710


@pytest.mark.parametrize("form", ["journal", "json", "console"])
@pytest.mark.parametrize(
    "leak",
    [KEY, KEY.decode(), KEY.hex(), KEY.hex(" "), " ".join(map(str, KEY)), ["in a list", KEY], ValueError(KEY.decode())],
)
def test_a_registered_secret_never_reaches_a_line_in_any_form(form, leak, capsys):
    logs.keep_secret(KEY)
    logs.set_up("debug", form)
    log = structlog.get_logger()
    log.info(f"the key is {KEY.decode()}", leak=leak)
    try:
        raise RuntimeError(KEY.decode())
    except RuntimeError:
        log.exception("it happened")
    written = capsys.readouterr().err
    for secret in (KEY.decode(), KEY.hex(), KEY.hex(" "), " ".join(map(str, KEY))):
        assert secret not in written
    assert logs.MASK in written
