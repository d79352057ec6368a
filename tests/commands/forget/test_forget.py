"""nesgw forget against a real broker: what it lists, asks and removes, and what it leaves alone."""

from __future__ import annotations

import io
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands import main
from nesgw.publishers.mqtt import retained
from tests.broker_fixtures import Broker, Listener, retained_topics
from tests.commands.forget.test_retained import a_gateway, a_meter
from tests.odd_brokers import MemoryBroker

FOREIGN = {
    "homeassistant/device/zigbee_1/config": "{}",
    "homeassistant/sensor/nesgw_1/config": "{}",
    "nesgw/kitchen/state": "on",
    "other/1/state": "{}",
}
GONE = a_meter("1", gateway="barn", availability="offline", name="Barn") | a_gateway("barn", "offline", shed="1")
# As the listing shows it, in this machine's time zone.
READ = f"{datetime(2026, 11, 20, 10, 21, 5, tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}"
LIVE = a_meter("2") | a_gateway("attic", house="2")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "QUIET", 0.2)


class Answer(io.StringIO):
    """Somebody at a terminal who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def config(broker: Broker, tmp_path: Path) -> str:
    """A configuration that lacks the meter's key: forgetting needs none."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[gateway]\nname = "attic"\n[[meter]]\nname = "house"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    return str(path)


def keep(broker: Any, messages: Any, **login: Any) -> None:
    listener = Listener(broker.port, **login)
    for topic, payload in messages.items():
        listener.say(topic, payload, retain=True)
    listener.close()


def test_without_an_id_it_lists_what_there_is_and_removes_nothing(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = GONE | LIVE | FOREIGN
    keep(broker, everything)
    assert main(["forget", "--config", config]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"1              Barn, ELON 83331-3I   offline  last read {READ}, by gateway barn",
        f"2              House, ELON 83331-3I  online   last read {READ}, by gateway attic",
        "gateway/attic  a gateway             online   this gateway",
        "gateway/barn   a gateway             offline",
        "",
        "to remove one: nesgw forget ID; all that are offline: nesgw forget --all",
    ]
    assert retained_topics(broker.port) == everything


def test_one_meter_goes_after_a_yes_and_all_else_stays(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(broker, GONE | LIVE | FOREIGN)
    monkeypatch.setattr("sys.stdin", Answer("y\n"))
    assert main(["forget", "--config", config, "1"]) == 0
    said = capsys.readouterr()
    assert "remove these 6 topics from the broker 127.0.0.1" in said.out
    assert said.out.count("removed: ") == 6
    assert "removed: homeassistant/device/nesgw_1/config\n" in said.out
    assert said.err == ""
    left = retained_topics(broker.port)
    assert left == a_gateway("barn", "offline", shed="1") | LIVE | FOREIGN


@pytest.mark.parametrize("typed", ["\n", "no way\n", ""])
def test_whatever_is_no_yes_is_a_no(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    keep(broker, GONE)
    monkeypatch.setattr("sys.stdin", Answer(typed))
    assert main(["forget", "--config", config, "1"]) == 0
    assert "nothing was removed" in capsys.readouterr().out
    assert retained_topics(broker.port) == GONE


def test_ctrl_c_is_a_no_too(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_question: Any) -> None:
        raise KeyboardInterrupt

    keep(broker, GONE)
    monkeypatch.setattr("sys.stdin", Answer(""))
    monkeypatch.setattr("builtins.input", interrupted)
    assert main(["forget", "--config", config, "1"]) == 130
    assert capsys.readouterr().out.endswith("\nnothing was removed\n")
    assert retained_topics(broker.port) == GONE


def test_without_a_terminal_it_refuses_unless_told_not_to_ask(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(broker, GONE)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["forget", "--config", config, "1"]) == 64
    assert "--yes" in capsys.readouterr().err
    assert retained_topics(broker.port) == GONE


def test_all_removes_what_is_gone_and_leaves_what_is_online(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(broker, GONE | LIVE | FOREIGN)
    assert main(["forget", "--config", config, "--all", "--yes"]) == 0
    said = capsys.readouterr()
    assert "left alone, for it is online: 2 (House, ELON 83331-3I)" in said.out
    assert retained_topics(broker.port) == LIVE | FOREIGN
    assert main(["forget", "--config", config, "--all", "--yes"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_one_that_is_online_is_warned_of_and_removed_only_when_named(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(broker, LIVE)
    assert main(["forget", "--config", config, "2", "--yes"]) == 0
    said = capsys.readouterr().err
    assert "warning: 2 is online: gateway attic reads it, and publishes it again" in said
    assert "restart its gateway" in said
    assert retained_topics(broker.port) == a_gateway("attic", house="2")


def test_one_of_this_gateway_s_configuration_is_warned_of(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(broker, a_meter("2") | a_gateway("attic", "offline", house="2"))
    monkeypatch.setattr("sys.stdin", Answer("n\n"))
    assert main(["forget", "--config", config, "2"]) == 0
    assert "warning: 2 is read by this gateway: it comes back when that runs" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--all"], ["4711", "--yes"]])
def test_nothing_there_may_be_nothing_that_this_login_may_read(
    words: list[str], config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forget", "--config", config, *words]) == (69 if "4711" in words else 0)
    said = capsys.readouterr()
    assert (said.out + said.err).rstrip().endswith(", or this login may not read it there")


def test_one_that_is_not_there_is_said_with_those_that_are(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(broker, GONE)
    assert main(["forget", "--config", config, "4711", "--yes"]) == 69
    said = capsys.readouterr()
    assert said.err.startswith("nesgw: nothing of 4711 is on the broker")
    assert said.err.endswith("; it has:\n")
    assert "Barn" in said.out
    assert retained_topics(broker.port) == GONE


def test_one_that_is_not_there_is_said_alone_where_there_is_nothing_at_all(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forget", "--config", config, "4711", "--yes"]) == 69
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"is on the broker 127.0.0.1:{broker.port}, or this login may not read it" in said.err


def test_what_is_the_id_of_nothing_is_refused(broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "--config", config, "gateway/+", "--yes"]) == 64
    assert "gateway/+ is the id of no meter and no gateway" in capsys.readouterr().err


def test_where_mqtt_is_switched_off_no_broker_is_asked(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(config)
    path.write_text(path.read_text() + "enabled = false\n")
    assert main(["forget", "--config", config, "--all", "--yes"]) == 78
    assert "[mqtt] enabled = false: no broker is asked" in capsys.readouterr().err
    assert "nesgw-forget" not in broker.log


def test_what_others_wrote_steers_no_terminal_and_widens_no_column(
    broker: Broker, config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list decides what is removed: nobody may write a line into it, or one that hides another."""
    evil = "\x1b]0;x\x07\x1b[2J\x9b31m‮\r\n4080999999 fake line" + "x" * 200_000
    keep(broker, a_meter("1", name=evil) | {f"nesgw/{'9' * 500}/status": '{"consecutive_failures": 0}'})
    assert main(["forget", "--config", config]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 3
    assert max(map(len, said.splitlines())) < 150
    assert "".join(said.splitlines()).isprintable()
    assert r"\x1b]0;x\x07\x1b[2J\x9b31m\u202e\r\n4080999999" in said


def test_where_filters_are_not_answered_a_meter_goes_by_its_name(
    config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RabbitMQ's retained messages are found by their topics alone."""
    with MemoryBroker(answers_filters=False) as memory:
        memory.kept |= GONE | LIVE
        path = Path(config)
        path.write_text('[gateway]\nname = "barn"\n[[meter]]\nname = "house"\n' + memory.section)
        assert main(["forget", "--config", config]) == 0
        assert "Barn, ELON 83331-3I" in capsys.readouterr().out, "our own status names it"
        assert main(["forget", "--config", config, "1", "--yes"]) == 0
        assert capsys.readouterr().out.count("removed: ") == 6
        assert not [topic for topic in memory.kept if "/1/" in topic or "nesgw_1/" in topic]
        assert memory.kept.keys() >= LIVE.keys()


def test_a_broker_that_acknowledges_before_it_removes_is_looked_at_again(
    config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with MemoryBroker(removes_after=1.0) as memory:
        memory.kept |= GONE
        path = Path(config)
        path.write_text('[gateway]\nname = "barn"\n[[meter]]\nname = "house"\n' + memory.section)
        assert main(["forget", "--config", config, "1", "--yes"]) == 0
        assert capsys.readouterr().out.count("removed: ") == 6


def test_a_broker_that_keeps_what_should_go_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody may read, but only the keeper may write."""
    rules, passwords = tmp_path / "acl", tmp_path / "passwords"
    rules.write_text("topic read #\nuser keeper\ntopic readwrite #\n")
    rules.chmod(0o700)
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "keeper", "keep out"], check=True)
    stubborn = Broker(tmp_path, ["allow_anonymous true", f"password_file {passwords}", f"acl_file {rules}"])
    stubborn.start()
    keep(stubborn, GONE, username="keeper", password="keep out")
    path = tmp_path / "config.toml"
    path.write_text(f'[[meter]]\nname = "house"\n[mqtt]\nhost = "127.0.0.1"\nport = {stubborn.port}\n')
    try:
        code = main(["forget", "--config", str(path), "1", "--yes"])
    finally:
        stubborn.stop()
    said = capsys.readouterr()
    assert code == 69
    assert "still there: nesgw/1/info" in said.out
    assert said.err == (
        "nesgw: 6 of 6 topics are still there: the broker may not let this user remove it: "
        "see its access control list\n"
    )


def test_no_broker_is_69_and_one_line_without_the_password(
    absent_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    path.write_text(
        '[[meter]]\nname = "house"\n[mqtt]\nhost = "127.0.0.1"\n'
        f'port = {absent_broker.port}\nusername = "u"\npassword = "correct horse"\n'
    )
    assert main(["forget", "--config", str(path)]) == 69
    said = capsys.readouterr().err
    assert "no broker listens there" in said
    assert len(said.splitlines()) == 1
    assert "horse" not in said
