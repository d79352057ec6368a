"""The conversation of nesgw setup with several adapters and meters, and beside the running service."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from nesgw.commands.setup import brokers, conversation, probe, service
from nesgw.commands.setup.conversation import Agreement, Conversation
from nesgw.commands.setup.dialogue import Interview, Screen
from nesgw.commands.setup.present import read_present
from nesgw.errors import ConfigError, KeyRefused, PortAmbiguous
from nesgw.ports.serial_port import open_port
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter

KEY = DEFAULT_KEY.decode()


class Scripted(Screen):
    """A person who has thought of all answers: (a part of the question, the answer), in their order."""

    def __init__(self, *answers: tuple[str, str]) -> None:
        super().__init__()
        self._answers = list(answers)

    def ask(self, prompt: str, otherwise: str | None) -> str:
        part, answer = self._answers.pop(0)
        assert part in prompt
        return answer or otherwise or ""

    def ask_secretly(self, prompt: str) -> str:
        return self.ask(prompt, None)

    @property
    def unasked(self) -> list[str]:
        return [part for part, _ in self._answers]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_name: str) -> None:
        return None

    def unknown(_name: str) -> list[str]:
        return []

    monkeypatch.setattr(probe, "_PERIOD", 0.05)
    monkeypatch.setattr("nesgw.commands.setup.brokers.mdns.lookup", nobody)
    monkeypatch.setattr(brokers, "_resolved", unknown)


@pytest.fixture
def house() -> Iterator[str]:
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        yield line.path


@pytest.fixture
def annex() -> Iterator[str]:
    meter = SimulatedMeter("83331-3i")
    meter.faults.swap("4080999999")
    with PtyLine(meter, baud=None) as line:
        yield line.path


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plug adapters in."""

    def plug(*ports: str) -> None:
        monkeypatch.setattr(conversation, "find_adapters", lambda: sorted(ports))

    return plug


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


THE_REST = (("Name", ""), ("Main fuse", ""), ("MQTT is switched off", ""), ("Write", ""))


def held(config: Path, screen: Screen, *, silent: bool = False, **given: str) -> Agreement:
    talk = Conversation(Interview(given, screen, silent=silent), read_present(config), None)
    try:
        outcome = talk.hold()
    finally:
        talk.give_back()
    assert outcome is not None
    return outcome


def texts(outcome: Agreement) -> dict[str, str]:
    return {file.path.name: file.text.reveal_text() for file in outcome.files}


def configured(config: Path, port: str, more: str = "") -> None:
    key = config.parent / "house.key"
    key.touch(0o600)
    key.write_text(KEY)
    config.write_text(
        f'[[meter]]\nname = "house"\nport = "{port}"\nkey_file = "{key}"\n[mqtt]\nenabled = false\n{more}'
    )


def test_several_adapters_are_listed_and_asked_who_is_there(
    house: str, etc: Path, plugged_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plugged_in("/dev/null", house)
    etc.write_text("[mqtt]\nenabled = false\n")
    screen = Scripted(
        ("Port", ""),
        ("Port", ""),
        ("Key", KEY),
        ("Name", ""),
        ("Main fuse", ""),
        ("MQTT is switched off", ""),
        ("Write", ""),
    )
    assert f'port = "{house}"' in texts(held(etc, screen))["config.toml"]
    said = " ".join(capsys.readouterr().out.split())
    assert f"1 /dev/null 2 {house} Which one is the probe?" in said
    assert "1 /dev/null /dev/null: not a serial port" in said
    assert f"2 {house} ELON 83331-3I, serial number 4080123456" in said


def test_a_second_meter_is_added_and_the_first_keeps_its_port(
    house: str, annex: str, etc: Path, plugged_in: Callable[..., None]
) -> None:
    plugged_in(house, annex)
    configured(etc, "auto")
    screen = Scripted(
        ("Port", annex),
        ("Is it the meter house", ""),
        ("Key", KEY),
        ("Name", "Annex"),
        ("Main fuse", "3x25"),
        ("MQTT is switched off", ""),
        ("Write", ""),
    )
    new = texts(held(etc, screen))
    assert list(new) == ["annex.key", "config.toml"]
    assert new["config.toml"].startswith(f'[[meter]]\nname = "house"\nport = "{house}"\n')
    assert f'name = "annex"\nlabel = "Annex"\nport = "{annex}"' in new["config.toml"]


@pytest.mark.parametrize("silent", [True, False])
@pytest.mark.parametrize("adapters", [(), ("/dev/null",)])
def test_a_port_that_is_no_usb_adapter_is_kept_by_enter(
    house: str, etc: Path, plugged_in: Callable[..., None], adapters: tuple[str, ...], silent: bool
) -> None:
    plugged_in(*adapters)
    configured(etc, house)
    screen = Scripted(("Port", ""), ("Use the key", "y"), *THE_REST)
    new = texts(held(etc, screen, silent=silent)).get("config.toml", etc.read_text())
    assert f'port = "{house}"' in new


def test_one_that_is_gone_is_not_offered_again(house: str, etc: Path, plugged_in: Callable[..., None]) -> None:
    plugged_in(house)
    configured(etc, "/dev/serial/by-id/of-the-former-probe")
    screen = Scripted(("Port", ""), ("Key", KEY), *THE_REST)
    assert f'port = "{house}"' in texts(held(etc, screen))["config.toml"]


def test_the_meter_that_is_there_keeps_its_name_its_key_and_the_name_of_its_port(
    house: str, etc: Path, plugged_in: Callable[..., None]
) -> None:
    alias = etc.parent / "nes-ir-probe"
    alias.symlink_to(house)
    plugged_in(house)
    configured(etc, str(alias))
    screen = Scripted(
        ("Port", ""),
        ("Use the key", "y"),
        ("Name", "Home"),
        ("Main fuse", ""),
        ("MQTT is switched off", ""),
        ("Write", ""),
    )
    assert texts(held(etc, screen)) == {
        "config.toml": etc.read_text().replace('house.key"\n', 'house.key"\nlabel = "Home"\n')
    }


def test_a_probe_that_needs_dtr_is_found_and_remembered(
    house: str, etc: Path, plugged_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged_in(house)
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as dark:
        cast(Any, dark.meter).faults.silence()

        def opened(port: str, baud: int = 9600, rts: bool = True, dtr: bool = False) -> object:
            return open_port(house if dtr else dark.path, baud, rts, dtr)

        monkeypatch.setattr(probe, "open_port", opened)
        etc.write_text("[mqtt]\nenabled = false\n")
        seen = probe.look(conversation._at(house))
    assert seen.answers
    assert seen.dtr


def test_several_adapters_and_nobody_to_ask_end_it(etc: Path, plugged_in: Callable[..., None]) -> None:
    plugged_in("/dev/ttyUSB0", "/dev/ttyUSB1")
    with pytest.raises(PortAmbiguous):
        held(etc, Scripted(), silent=True)


def test_any_port_with_several_left_has_to_be_named_by_the_owner(
    house: str, annex: str, etc: Path, plugged_in: Callable[..., None]
) -> None:
    plugged_in(house, annex, "/dev/null")
    configured(etc, "auto")
    with pytest.raises(ConfigError, match=r"meter\.house\.port"):
        held(etc, Scripted(), silent=True, port=annex)


def test_a_key_that_the_service_saw_refused_is_not_shown_again(
    house: str, etc: Path, plugged_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plugged_in(house)
    folder = etc.parent / "cache" / "house"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(
        f'{{"last_read": null, "last_error": "refused", "last_error_kind": "{KeyRefused.kind}"}}'
    )
    configured(etc, house, f'[cache]\ndirectory = "{folder.parent}"\nallow_disk = true\n')
    screen = Scripted(("Port", ""), ("Key", KEY), *THE_REST)
    held(etc, screen)
    assert "the meter refused the key of the configuration" in " ".join(capsys.readouterr().out.split())


def test_the_service_is_stopped_for_its_port_and_started_again_whatever_happens(
    house: str, etc: Path, plugged_in: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script stands in for systemctl; the "service" is a port of our own."""
    plugged_in(house)
    configured(etc, house)
    held_by_service = open_port(house)
    script, log = tmp_path / "bin" / "systemctl", tmp_path / "asked"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\necho "$@" >>{log}\n'
        f'case "$*" in is-active*) ! grep -q stop {log};; show*MainPID*) echo {os.getpid()};; esac\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    monkeypatch.setattr(service, "_BOOTED", tmp_path)
    monkeypatch.setattr("nesgw.commands.setup.conversation.os.geteuid", lambda: 0)

    class Interrupting(Scripted):
        def ask(self, prompt: str, otherwise: str | None) -> str:
            if "Use the key" in prompt:
                raise KeyboardInterrupt
            if "Stop it" in prompt:
                held_by_service.close()
            return super().ask(prompt, otherwise)

    with pytest.raises(KeyboardInterrupt):
        held(etc, Interrupting(("Port", ""), ("The service reads this meter", "")))
    asked = log.read_text().splitlines()
    assert [words for words in asked if words.split()[0] in ("stop", "start")] == ["stop nesgw", "start nesgw"]
