"""nesgw demo on somebody's own broker: shown there as a user would start it, and taken away however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands import main
from nesgw.simulator import DEFAULT_KEY, PROFILES, PtyLine, SimulatedMeter
from nesgw.values import plain_id
from tests.broker_fixtures import Broker, Listener, eventually, free_port, retained_topics
from tests.commands.forget.test_retained import a_gateway, a_meter
from tests.commands.setup.person import Person

OWNERS = a_meter("1", gateway="attic") | a_gateway("attic", house="1")
COMMAND = (sys.executable, "-P", "-m", "nesgw", "demo")


def owners_messages(broker: Broker, messages: dict[str, Any] = OWNERS) -> None:
    listener = Listener(broker.port)
    for topic, payload in messages.items():
        listener.say(topic, payload, retain=True)
    listener.close()


def at(broker: Broker) -> str:
    return f"127.0.0.1:{broker.port}"


def shown(broker: Broker) -> Any:
    """Whether the simulated meter has a value there."""
    return "nesgw/4080123456/state" in retained_topics(broker.port)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_number_under_which_it_is_looked_for_is_that_of_its_topics(profile: str) -> None:
    meter = SimulatedMeter(profile)
    with PtyLine(meter, baud=None) as line:
        said = subprocess.run(
            [*COMMAND[:-1], "read", "--json", "--port", line.path, "--key-file", "/dev/stdin"],
            input=DEFAULT_KEY.decode(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert plain_id(meter.serial) == json.loads(said.stdout)["id"]


@pytest.mark.parametrize("interface", ["optical", "mep"])
def test_it_is_shown_to_home_assistant_and_then_the_broker_is_as_it_was(broker: Broker, interface: str) -> None:
    owners_messages(broker)
    listener = Listener(broker.port)
    words = [*COMMAND, "--broker", at(broker), "--readings", "2", "--interface", interface]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("energy import 115 921.") == 2
    assert done.stdout.endswith(f"the simulated meter is gone from {at(broker)}\n")
    announced = listener.wait_for("homeassistant/device/nesgw_4080123456/config")
    device = json.loads(announced.payload)
    assert device["dev"]["name"] == "Demo house"
    # Home Assistant makes the entity's id of the device's name where the message names none.
    ids = {each["def_ent_id"] for each in device["cmps"].values() if "def_ent_id" in each}
    assert all(each.split(".")[1].startswith("demo_house_") for each in ids)
    listener.close()
    assert retained_topics(broker.port) == OWNERS


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_it_is_ended_nothing_is_left(broker: Broker, ending: signal.Signals) -> None:
    before = set(Path("/dev/shm").glob("nesgw-demo*"))
    demo = subprocess.Popen([*COMMAND, "--broker", at(broker)], stdout=subprocess.PIPE, text=True)
    eventually(lambda: shown(broker), "a value is there", 30)
    mine = set(Path("/dev/shm").glob("nesgw-demo*")) - before
    demo.send_signal(ending)
    demo.send_signal(ending)  # who is impatient presses it twice
    output, _ = demo.communicate(timeout=30)
    assert demo.returncode == 0
    assert "is gone from" in output
    assert retained_topics(broker.port) == {}
    assert not any(folder.exists() for folder in mine)


def test_what_one_that_was_killed_has_left_goes_with_the_next(broker: Broker) -> None:
    owners_messages(broker, a_meter("4080123456", gateway="demo") | a_gateway("demo", "offline", house="4080123456"))
    assert main(["demo", "--broker", at(broker), "--readings", "1"]) == 0
    assert retained_topics(broker.port) == {}


def test_where_a_meter_has_its_number_nothing_is_published(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    real = a_meter("4080123456", gateway="attic") | a_gateway("attic", house="4080123456")
    owners_messages(broker, real)
    assert main(["demo", "--broker", at(broker)]) == 69
    assert capsys.readouterr().err == (
        f"nesgw: MQTT broker {at(broker)}: a meter with the number of the simulated one is on it already (4080123456): "
        "take a simulated one of another number with --profile\n"
    )
    assert retained_topics(broker.port) == real


def test_a_broker_that_is_gone_at_the_end_is_told(
    broker: Broker, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesgw.commands.demo.visit._PATIENCE", 0.5)
    monkeypatch.setattr("nesgw.commands.demo.command._Show.run", lambda *_: broker.stop())
    assert main(["demo", "--broker", at(broker)]) == 69
    error = capfd.readouterr().err
    assert "the simulated meter may still be on it: run the same command once more, and end it" in error


class TestLogin:
    def test_without_one_it_says_how_to_give_it(
        self, password_broker: Broker, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["demo", "--broker", at(password_broker)]) == 69
        assert capsys.readouterr().err == (
            f"nesgw: MQTT broker {at(password_broker)}: it lets nobody in without a login: "
            "name its user with --mqtt-username; the password is asked\n"
        )

    def test_the_password_is_asked_and_not_shown(self, password_broker: Broker) -> None:
        words = [*COMMAND, "--broker", at(password_broker), "--mqtt-username", "meter", "--readings", "2"]
        with Person(words, columns=80) as person:
            person.sees("Password of meter (it is not shown):")
            person.types("correct horse\n")
            person.sees("Energy import")
            assert person.ends() == 0
        assert "correct horse" not in person.raw
        assert "\x1b[2J" not in person.raw, "it would push each page into the scrollback"
        assert "Demo house: ELON 83331-3I, firmware 3.84.06, simulated" in str(person.screen)

    def test_a_file_of_it_does_as_well_unless_others_can_read_it(
        self, password_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "password"
        file.write_text("correct horse\n")
        file.chmod(0o644)
        words = ["demo", "--broker", at(password_broker), "--mqtt-username", "meter", "--mqtt-password-file", str(file)]
        assert main(words) == 64
        assert "can be read by everyone" in capsys.readouterr().err
        file.chmod(0o600)
        assert main([*words, "--readings", "1"]) == 0


def test_a_broker_that_is_not_there_is_named_without_a_word_of_a_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--broker", f"127.0.0.1:{free_port()}"]) == 69
    said = capsys.readouterr().err
    assert "no broker listens there: " in said
    assert "[mqtt]" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--broker", "http://homeassistant.local:8123"], "write the broker's name or address"),
        (["--broker", "localhost", "--mqtt-password-file", "pw"], "goes with --mqtt-username"),
        (["--mqtt-username", "meter"], "goes with --broker"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *words]) == 64
    assert said in capsys.readouterr().err
