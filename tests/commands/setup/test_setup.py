"""nesgw setup by keyboard, on a terminal of 60 columns without colours, and by options alone.

The meter is simulated, the broker a real one that asks for a password. What a person sees is printed: pytest -rP.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nesgw.config import loader
from nesgw.ports.serial_port import open_port
from nesgw.simulator import DEFAULT_KEY, MepPort, PtyLine, SimulatedMeter
from tests.broker_fixtures import Broker, free_port
from tests.commands.setup.person import Person

KEY = DEFAULT_KEY.decode()
WRONG = "0123456789abcdefghij"
THE_METER = ("--label", "House", "--max-power", "1 x 35 A")
WRITTEN_BEFORE = """\
# my own words
[cache]
directory = "{ram_disk}"       # what Node-RED reads

[http]
enabled = false                # later
"""


@pytest.fixture
def meter() -> SimulatedMeter:
    return SimulatedMeter("83331-3i")


@pytest.fixture
def line(meter: SimulatedMeter) -> Iterator[PtyLine]:
    with PtyLine(meter, baud=None) as line:
        yield line


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """A configuration that has no meter yet; as root the service's user is whoever there is."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram_disk:
        Path(ram_disk).chmod(0o777)
        path = tmp_path / "etc" / "config.toml"
        path.parent.mkdir()
        path.write_text(WRITTEN_BEFORE.format(ram_disk=ram_disk))
        yield path


def at_keyboard(config: Path, *words: str) -> Person:
    command = [sys.executable, "-m", "nesgw", "setup", "--config", str(config), *words]
    return Person(command, columns=60, environment={"NO_COLOR": "1"})


def by_options(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nesgw", "setup", "--config", str(config), "--yes", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def secret_file(folder: Path, text: str) -> str:
    path = folder / "a.secret"
    path.touch(0o600)
    path.write_text(text + "\n")
    return str(path)


def looks_good(person: Person) -> None:
    """Nothing is wider than the terminal, nothing is coloured, and no secret is on it."""
    print(person.screen)
    assert "\x1b[3" not in person.raw
    for secret in (KEY, WRONG, "correct horse", "wrong horse"):
        assert secret not in person.raw
    broken = [line for line in str(person.screen).splitlines() if len(line) > 59 and "/" not in line]
    assert not [line for line in broken if re.search(r"\w$", line)], "a line is broken by the terminal, within a word"


def nothing_is_written(config: Path, before: str) -> None:
    assert config.read_text() == before
    assert [each.name for each in config.parent.iterdir()] == ["config.toml"]


def test_from_a_probe_to_a_configuration_that_works(line: PtyLine, config: Path, password_broker: Broker) -> None:
    before = config.read_text()
    with at_keyboard(config) as person:
        person.answers("Port", line.path)
        person.sees("ELON 83331-3I, serial number 4080123456")
        person.answers("Key", KEY)
        person.sees("the meter took the key")
        person.sees("first reading: power")
        person.answers("Name of the meter", "Haus Süd")
        person.answers("Main fuse", "3 x 25 A")
        person.answers("Broker", f"127.0.0.1:{password_broker.port}")
        person.answers("User of the broker", "meter")
        person.answers("Password", "correct horse")
        person.sees('lets us in as user "meter"')
        person.sees("takes connections from this machine only")
        nothing_is_written(config, before)
        person.answers("Write this?", "")
        person.sees("all is well")
        assert person.ends() == 0
        looks_good(person)
    (house,) = loader.load(config).meters
    assert (house.name, house.label, house.port, house.max_power) == ("haus-sued", "Haus Süd", line.path, 17_250.0)
    assert loader.load(config).mqtt.password.reveal() == b"correct horse"
    assert config.read_text().startswith(before)
    for secret in ("haus-sued.key", "mqtt.password"):
        assert stat.S_IMODE((config.parent / secret).stat().st_mode) & 0o007 == 0


def test_the_same_by_options_and_once_more_it_changes_nothing(
    line: PtyLine, config: Path, tmp_path: Path, password_broker: Broker
) -> None:
    words = [
        *("--port", line.path, "--key-file", secret_file(tmp_path, KEY), "--label", "House", "--max-power", "3x25A"),
        *("--mqtt-host", "127.0.0.1", "--mqtt-port", str(password_broker.port), "--mqtt-username", "meter"),
    ]
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("correct horse\n")
    done = by_options(config, *words, "--mqtt-password-file", str(password), "--no-service")
    print(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert loader.load(config).meters[0].name == "house"
    files = {each: each.read_bytes() for each in config.parent.iterdir()}
    again = by_options(config, "--port", line.path, "--no-service")
    assert again.returncode == 0, again.stderr
    assert {each: each.read_bytes() for each in config.parent.iterdir()} == files


def test_the_mep_port_is_met_with_its_key(config: Path, tmp_path: Path, broker: Broker) -> None:
    words = ("--interface", "mep", *THE_METER, "--mqtt-host", "127.0.0.1", "--mqtt-port", str(broker.port))
    with PtyLine(MepPort(SimulatedMeter("83331-3i")), baud=None) as line, at_keyboard(config, *words) as person:
        person.answers("Port", line.path)
        person.sees("The MEP port says who the meter is only with its key")
        person.answers("Key", WRONG)
        person.sees("the meter refused the key")
        person.answers("Key", KEY)
        person.sees("ELON 83331-3I, serial number 4080123456")
        person.sees("first reading: power")
        person.answers("Write this?", "")
        person.sees("all is well", 60.0)
        assert person.ends() == 0
        looks_good(person)
    assert loader.load(config).meters[0].interface == "mep"


def test_ctrl_c_leaves_nothing(line: PtyLine, config: Path, password_broker: Broker) -> None:
    before = config.read_text()
    with at_keyboard(config, "--label", "House", "--max-power", "auto") as person:
        person.answers("Port", line.path)
        person.answers("Key", KEY)
        person.answers("Broker", f"127.0.0.1:{password_broker.port}")
        person.sees("User of the broker")
        person.breaks_off()
        person.sees("nothing was written")
        assert person.ends() == 130
        looks_good(person)
    nothing_is_written(config, before)
    open_port(line.path).close()  # nobody has the port any more


def test_no_at_the_end_leaves_nothing_either(line: PtyLine, config: Path, broker: Broker, tmp_path: Path) -> None:
    before = config.read_text()
    words = ("--port", line.path, "--key-file", secret_file(tmp_path, KEY), "--label", "House", "--max-power", "auto")
    with at_keyboard(config, *words, "--mqtt-host", "127.0.0.1", "--mqtt-port", str(broker.port)) as person:
        person.answers("Write this?", "n")
        assert person.ends() == 0
    nothing_is_written(config, before)


class TestMistakes:
    """What goes wrong on the first evening: it is said, asked for again, and nothing is written."""

    def test_a_key_that_is_none_then_a_wrong_one_which_is_shown_to_the_meter_once(
        self, line: PtyLine, meter: SimulatedMeter, config: Path
    ) -> None:
        with at_keyboard(config) as person:
            person.answers("Port", line.path)
            person.answers("Key", KEY[:19])
            person.sees("not a key: 19 characters, one is missing; expected 20 characters")
            person.answers("Key", "61 37 39 34 31 64 38 35 62 63 65 38 61 38 66 61 32 61 62 37 37")
            person.sees("21 numbers, one too many")
            person.answers("Key", WRONG)
            person.sees("the meter refused the key")
            person.answers("Key", WRONG)
            person.sees("the meter refused this very key; it is not shown again")
            person.answers("Key", KEY)
            person.sees("the meter took the key")
            person.breaks_off()
            assert person.ends() == 130
            looks_good(person)

    def test_a_silent_probe_is_aligned_in_place(self, line: PtyLine, meter: SimulatedMeter, config: Path) -> None:
        meter.faults.silence()
        with at_keyboard(config) as person:
            person.answers("Port", line.path)
            person.sees("no meter answers there")
            person.sees("or the probe is beside the port")
            meter.faults.clear()
            person.sees("the probe sits well")
            person.sees("ELON 83331-3I, serial number 4080123456")
            person.breaks_off()
            assert person.ends() == 130
            looks_good(person)

    def test_a_probe_the_wrong_way_round_is_said_and_enter_chooses_another_port(
        self, line: PtyLine, meter: SimulatedMeter, config: Path
    ) -> None:
        meter.faults.deaf()
        meter.faults.echo()
        with at_keyboard(config) as person:
            person.answers("Port", line.path)
            person.sees("transmitter and receiver are swapped")
            person.types("\n")
            person.sees("Port [auto]: ")
            person.breaks_off()
            assert person.ends() == 130
            looks_good(person)

    def test_a_port_that_is_not_there_or_no_serial_port(self, config: Path) -> None:
        with at_keyboard(config) as person:
            person.answers("Port", "ttyUSB0")
            person.sees('write the whole path: "/dev/ttyUSB0"')
            person.answers("Port", "/dev/ttyUSB77")
            person.sees("/dev/ttyUSB77: no such device")
            person.answers("Port", "/dev/null")
            person.sees("not a serial port")
            person.answers("Port", "")
            person.sees("finds no USB serial device")
            person.types("\x04")
            assert person.ends() == 130
            looks_good(person)

    def test_a_port_that_another_program_has(self, line: PtyLine, config: Path) -> None:
        holder = open_port(line.path)
        with at_keyboard(config) as person:
            person.answers("Port", line.path)
            person.sees("in use by")
            holder.close()
            person.answers("Port", line.path)
            person.sees("ELON 83331-3I")
            person.breaks_off()
            assert person.ends() == 130
            looks_good(person)

    def test_a_broker_that_is_not_there_and_a_login_that_is_wrong(
        self, line: PtyLine, config: Path, tmp_path: Path, password_broker: Broker
    ) -> None:
        key = secret_file(tmp_path, KEY)
        with at_keyboard(
            config, "--port", line.path, "--key-file", key, "--label", "H", "--max-power", "1x35A"
        ) as person:
            person.answers("Broker", f"127.0.0.1:{free_port()}")
            person.sees("no broker listens there: start it: sudo systemctl start mosquitto")
            person.answers("Broker", "no-such-host.invalid")
            person.sees("no host has this name")
            person.answers("Broker", "http://127.0.0.1")
            person.sees("write the broker's name or address")
            person.answers("Broker", f"mqtt://127.0.0.1:{password_broker.port}")
            person.answers("User of the broker", "meter")
            person.answers("Password", "wrong horse")
            person.sees('it refused the login of user "meter": type both once more')
            person.answers("User of the broker", "")
            person.answers("Password", "correct horse")
            person.sees('lets us in as user "meter"')
            person.breaks_off()
            assert person.ends() == 130
            looks_good(person)

    def test_a_broker_that_comes_later(self, line: PtyLine, config: Path, tmp_path: Path) -> None:
        key = secret_file(tmp_path, KEY)
        with at_keyboard(
            config, "--port", line.path, "--key-file", key, "--label", "H", "--max-power", "auto"
        ) as person:
            person.answers("Broker", f"127.0.0.1:{(port := free_port())}")
            person.answers("Broker", "later")
            person.answers("Write this?", "y")
            assert person.ends() == 69  # doctor looks at the broker, too
            looks_good(person)
        assert loader.load(config).mqtt.port == port

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_who_has_no_rights_is_told_before_the_first_question(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            command = [sys.executable, "-c", _AS_NOBODY, f"{folder}/config.toml"]
            # Nobody may not write what coverage measures either.
            environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 77
        assert done.stderr == f"nesgw: user nobody may not write to {folder}: run: sudo nesgw setup\n"


_AS_NOBODY = """
import os, sys
from nesgw.commands import main
import nesgw.commands.setup.command, nesgw.commands.setup.conversation, nesgw.commands.setup.files
os.setgid(65534)
os.setuid(65534)
sys.exit(main(["setup", "--yes", "--config", sys.argv[1]]))
"""


class TestWithoutAsking:
    def test_a_missing_answer_is_named(self, line: PtyLine, config: Path) -> None:
        before = config.read_text()
        done = by_options(config, "--port", line.path)
        assert (done.returncode, done.stderr) == (
            64,
            "nesgw: --key-file is missing: --yes asks nothing; see: nesgw setup --help\n",
        )
        nothing_is_written(config, before)

    @pytest.mark.parametrize(
        ("option", "answer", "said"),
        [
            ("--max-power", "25 A", "--max-power: of one phase or of three?"),
            ("--mqtt-port", "0", "--mqtt-port: write a number from 1 to 65535"),
            ("--mqtt-host", "http://box", "--mqtt-host: write the broker's name or address"),
            ("--label", " ", "--label: write a name"),
        ],
    )
    def test_a_wrong_answer_is_refused_before_the_meter_is_asked_anything(
        self, config: Path, option: str, answer: str, said: str
    ) -> None:
        done = by_options(config, "--port", "/dev/none", "--key-file", "none.key", option, answer)
        assert (done.returncode, done.stdout) == (64, "")
        assert said in done.stderr

    def test_trouble_with_the_broker_is_told_in_the_words_of_the_options(
        self, line: PtyLine, config: Path, tmp_path: Path, password_broker: Broker
    ) -> None:
        given = ("--port", line.path, "--key-file", secret_file(tmp_path, KEY), "--label", "H", "--max-power", "auto")
        gone = by_options(config, *given, "--mqtt-host", f"127.0.0.1:{free_port()}")
        assert (gone.returncode, "[mqtt]" in gone.stderr) == (69, False)
        assert "no broker listens there: " in gone.stderr
        (tmp_path / "of the broker").touch(0o600)
        (tmp_path / "of the broker").write_text("wrong horse")
        login = ("--mqtt-username", "meter", "--mqtt-password-file", str(tmp_path / "of the broker"))
        refused = by_options(config, *given, "--mqtt-host", f"127.0.0.1:{password_broker.port}", *login)
        assert (refused.returncode, "wrong horse" in refused.stderr) == (69, False)
        assert "check --mqtt-username and what --mqtt-password-file names" in refused.stderr

    def test_a_refused_key_ends_it(self, line: PtyLine, config: Path, tmp_path: Path) -> None:
        done = by_options(config, "--port", line.path, "--key-file", secret_file(tmp_path, WRONG))
        assert done.returncode == 77
        assert "the meter refused the key" in done.stderr

    @pytest.mark.parametrize("word", ["a key", "a file"])
    def test_a_key_in_the_place_of_its_file_or_open_to_all_is_refused(
        self, line: PtyLine, config: Path, tmp_path: Path, word: str
    ) -> None:
        file = tmp_path / "open.key"
        file.write_text(KEY)
        file.chmod(0o644)
        done = by_options(config, "--port", line.path, "--key-file", KEY if word == "a key" else str(file))
        assert done.returncode == 78
        assert ("this is the key itself" if word == "a key" else "can be read by everyone") in done.stderr
        assert KEY not in done.stdout + done.stderr

    def test_without_a_terminal_there_is_nobody_to_ask(self, config: Path) -> None:
        command = [sys.executable, "-m", "nesgw", "setup", "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 64
        assert "there is no terminal to ask on" in done.stderr

    def test_a_configuration_that_is_wrong_is_put_right_first(self, config: Path) -> None:
        config.write_text("[gateway]\nnam = 'x'\n")
        done = by_options(config)
        assert done.returncode == 78
        assert "did you mean 'name'?" in done.stderr
