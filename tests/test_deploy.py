"""What is installed beside the program: the unit, the user, the probe's name, the package. No root, no network."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nesgw import __version__, errors
from nesgw.commands import COMMANDS
from nesgw.config import example, loader, secrets
from nesgw.config import schema as config
from nesgw.gateway import daemon
from nesgw.web.service import SHELLY_PORTS

ROOT = Path(__file__).parents[1]
UNIT_FILE = ROOT / "deploy/systemd/nesgw.service"
RULES = (ROOT / "deploy/udev/91-nesgw-ir-probe.rules").read_text(encoding="utf-8")


def settings(text: Any) -> Any:
    """A unit file as a list of values for every Section.Key."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


UNIT = settings(UNIT_FILE.read_text(encoding="utf-8"))


SOCKET = settings((ROOT / "deploy/systemd/nesgw-http.socket").read_text(encoding="utf-8"))


def one(key: Any) -> Any:
    (value,) = UNIT[key]
    return value


class TestTheSocketUnit:
    def test_hands_the_ports_that_the_daemon_may_not_open_to_its_service(self) -> None:
        assert SOCKET["Socket.Service"] == ["nesgw.service"]
        assert SOCKET["Socket.ListenStream"] == ["80"]
        assert SOCKET["Socket.ListenDatagram"] == [f"0.0.0.0:{port}" for port in SHELLY_PORTS]

    def test_leaves_the_service_as_confined_as_it_is(self) -> None:
        assert one("Service.CapabilityBoundingSet") == ""
        assert one("Service.AmbientCapabilities") == ""


class TestTheUnit:
    def test_starts_the_daemon_with_the_default_configuration(self) -> None:
        assert one("Service.ExecStart") == "/usr/bin/nesgw run"
        assert "run" in COMMANDS

    def test_a_wrong_configuration_alone_ends_the_restarts(self) -> None:
        assert one("Service.RestartPreventExitStatus") == str(errors.EX_CONFIG)
        assert one("Service.Restart") == "always"
        assert "Service.SuccessExitStatus" not in UNIT

    def test_is_started_again_ever_later_but_never_given_up(self) -> None:
        assert one("Unit.StartLimitIntervalSec") == "0"
        assert int(one("Service.RestartSec")) < int(one("Service.RestartMaxDelaySec"))
        assert int(one("Service.RestartSteps")) > 0

    def test_the_daemon_tells_when_it_is_ready_and_is_watched(self) -> None:
        assert one("Service.Type") == "notify"
        assert int(one("Service.WatchdogSec")) == 60

    def test_leaves_the_daemon_the_time_it_takes_to_say_goodbye(self) -> None:
        assert int(one("Service.TimeoutStopSec")) > daemon.GOODBYE + 5

    def test_a_missing_meter_network_or_broker_is_no_reason_not_to_start(self) -> None:
        conditions = [
            key for key in UNIT if re.match(r"Unit\.(Requires|Wants|BindsTo|Requisite|Condition|Assert)", key)
        ]
        assert conditions == []
        assert one("Unit.After") == "network.target time-sync.target"

    def test_its_runtime_directory_is_the_default_cache_and_outlives_a_restart(self) -> None:
        assert f"/run/{one('Service.RuntimeDirectory')}" == config.CacheSection().directory
        assert one("Service.RuntimeDirectoryPreserve") == "yes"

    def test_has_no_place_on_a_disk_to_write_to(self) -> None:
        assert one("Service.ProtectSystem") == "strict"
        assert one("Service.ReadWritePaths") == "-" + fstab()[1]
        for directory in ("StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory"):
            assert f"Service.{directory}" not in UNIT
        assert not {"Service.StandardOutput", "Service.StandardError"} & set(UNIT)

    def test_leaves_no_core_dump_with_the_key(self) -> None:
        assert one("Service.LimitCORE") == "0"

    def test_runs_as_the_user_that_sysusers_puts_into_the_group_of_the_serial_ports(self) -> None:
        lines = (ROOT / "deploy/sysusers/nesgw.conf").read_text(encoding="utf-8").splitlines()
        entries = [line.split()[:3] for line in lines if not line.startswith("#")]
        user = one("Service.User")
        assert entries == [["u", user, "-"], ["m", user, "dialout"]]

    def test_may_open_serial_ports_and_no_other_device(self) -> None:
        assert one("Service.DevicePolicy") == "closed"
        # Linux's list of devices: 188 ttyUSB, 166 ttyACM, 204 ttyAMA, 4 ttyS. A name would only be known to systemd
        # once the driver is loaded, and a service that was started before could never open its probe.
        assert UNIT["Service.DeviceAllow"] == ["char-188 rw", "char-166 rw", "char-204 rw", "char-4 rw"]

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
    def test_its_exposure_is_at_most_1_5(self) -> None:
        judged = subprocess.run(
            ["systemd-analyze", "--offline=true", "--threshold=15", "--no-pager", "security", str(UNIT_FILE)],
            capture_output=True,
            text=True,
        )
        assert judged.returncode == 0, judged.stdout[-300:] + judged.stderr


def fstab() -> Any:
    lines = (ROOT / "deploy/tmpfs-fstab").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if not line.startswith("#"))
    return line.split()


def test_the_line_for_fstab_is_a_small_tmpfs_that_the_service_may_write_to() -> None:
    device, place, kind, options, dump, check = fstab()
    assert (device, kind, dump, check) == ("tmpfs", "tmpfs", "0", "0")
    assert place.startswith("/")
    assert {"size=4M", f"uid={one('Service.User')}", "mode=0755", "noexec"} <= set(options.split(","))


class TestTheUdevRules:
    def test_every_line_is_a_list_of_matches_and_assignments(self) -> None:
        item = r'[A-Z_]+(\{[^}]+\})?(==|!=|\+=|-=|:=|=)"[^"]*"'
        for line in RULES.splitlines():
            if line and not line.startswith("#"):
                assert re.fullmatch(rf"{item}(,\s*{item})*", line), line

    def test_every_jump_goes_forward_to_a_label(self) -> None:
        for jump in re.finditer(r'GOTO="(\w+)"', RULES):
            assert f'LABEL="{jump[1]}"' in RULES[jump.end() :]

    def test_what_the_owner_decided_comes_before_any_guess(self) -> None:
        decided = RULES.index('ENV{NES_IR_PROBE}=="?*", GOTO="nes_ir_probe_decided"')
        guesses = [match.start() for match in re.finditer(r'^ATTRS\{idVendor\}.*ENV\{NES_IR_PROBE\}="1"$', RULES, re.M)]
        assert len(guesses) == 4
        assert all(decided < guess for guess in guesses)

    def test_no_guess_is_made_by_the_chip_alone(self) -> None:
        for line in RULES.splitlines():
            if line.startswith("ATTRS{idVendor}"):
                assert "ATTRS{product}==" in line

    def test_a_probe_has_a_name_and_its_own_name_by_serial_number_and_by_socket(self) -> None:
        names = re.findall(r'SYMLINK\+="([^"]+)"', RULES)
        assert names == ["nes-ir-probe", "nes-ir-probe-$env{ID_SERIAL_SHORT}", "nes-ir-probe-$env{ID_PATH}"]

    def test_modem_manager_and_brltty_leave_it_alone_and_ftdi_chips_do_not_wait(self) -> None:
        for setting in (
            'ENV{ID_MM_DEVICE_IGNORE}="1"',
            'ENV{ID_MM_PORT_IGNORE}="1"',
            'ENV{BRLTTY_BRAILLE_DRIVER}=="?*", ENV{SYSTEMD_WANTS}=""',
            'ATTR{latency_timer}="1"',
        ):
            assert setting in RULES


class TestThePackage:
    def test_has_the_version_of_the_program(self) -> None:
        first = (ROOT / "debian/changelog").read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"nesgw ({__version__}) ")

    def test_depends_on_what_the_program_depends_on(self) -> None:
        control = (ROOT / "debian/control").read_text(encoding="utf-8")
        package = control[control.index("\nPackage:") :]
        debian = {
            "pyserial": "serial",
            "paho-mqtt": "paho-mqtt",
            "pydantic": "pydantic",
            "structlog": "structlog",
            "systemd-python": "systemd",
        }
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for dependency in project["dependencies"]:
            name, floor = dependency.split(">=")
            assert f" python3-{debian[name]} (>= {floor}),\n" in package

    def test_suggests_what_only_one_command_needs(self) -> None:
        control = (ROOT / "debian/control").read_text(encoding="utf-8")
        (needed,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "optional-dependencies"
        ]["backfill"]
        name, floor = needed.split(">=")
        suggested = control.partition("\nSuggests:\n")[2]
        assert f" python3-{name} (>= {floor}),\n" in suggested
        assert "\nRecommends:" not in control

    def test_installs_every_unit_and_enables_none(self) -> None:
        installed = read_lines("debian/nesgw.install")
        units = sorted(path.name for path in (ROOT / "deploy/systemd").iterdir())
        assert units == ["nesgw-backfill.service", "nesgw-backfill.timer", "nesgw-http.socket", "nesgw.service"]
        for unit in units:
            assert [f"deploy/systemd/{unit}", "usr/lib/systemd/system"] in [line.split() for line in installed]
        handled = [line for line in read_lines("debian/rules") if line.startswith("\tdh_installsystemd")]
        assert handled
        assert all(" --no-enable " in line for line in handled)

    def test_installs_the_completion_of_every_shell(self) -> None:
        made = set(
            re.findall(r'^        f?"([a-z]+/\S+)": ', (ROOT / "debian/generate").read_text(encoding="utf-8"), re.M)
        )
        installed = {line.split()[0].removeprefix("build/debian/") for line in read_lines("debian/nesgw.install")}
        assert made == {"bash/nesgw", "zsh/_nesgw", "fish/nesgw.fish"}
        assert made <= installed

    def test_brings_to_bookworm_the_versions_of_debian_13(self) -> None:
        pinned = dict(
            line.split("==") for line in read_lines("tests/debian-13.txt") if "==" in line and not line.startswith("#")
        )
        brought = dict(
            line.removesuffix(" \\").split("==") for line in read_lines("debian/bookworm.txt") if "==" in line
        )
        for name in ("pydantic", "paho-mqtt", "structlog", "websockets"):
            assert brought[name] == pinned[name]

    def test_its_configuration_file_says_the_defaults_and_lacks_only_the_key(self, generator: Any) -> None:
        text = generator.conffile(example.example())
        shipped = loader.parse(text, "config.toml")
        assert shipped == loader.parse(example.example(), "example")
        with pytest.raises(ValueError, match=r"/etc/nesgw/house\.key does not exist"):
            secrets.read_key(shipped.meter[0])

    def test_its_manual_page_has_every_option(self, generator: Any) -> None:
        page = generator.configuration_page()
        models: list[Any] = [config.Config]
        for model in models:
            for name, section in config.tables(model).items():
                assert re.search(rf"^\.SS \[+([a-z]+\.)?{name}\]+$", page, re.M)
                models.append(section)
                for key in section.model_fields.keys() - config.tables(section).keys():
                    assert f".TP\n.B {key}\n" in page

    def test_no_link_in_its_documentation_leads_nowhere(self, generator: Any) -> None:
        pages = generator.documentation()
        assert {"README.md", "SECURITY.md", "docs/install.md", "hardware/ir-probe/README.md"} <= set(pages)
        elsewhere = set(generator.ELSEWHERE.values())
        folders = {str(parent) for name in pages for parent in Path(name).parents}
        for name, content in pages.items():
            if name.endswith(".md"):
                for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", content.decode()):
                    if "://" not in target and not target.startswith("mailto:"):
                        place = os.path.normpath(Path(name).parent / target)
                        assert place in set(pages) | elsewhere | folders, f"{name}: {target}"

    def test_a_link_to_what_is_not_in_it_leaves_its_text(self, generator: Any) -> None:
        generator.HOMEPAGE = ""
        text = "see [the code](../nesgw/errors.py), [the key](getting-the-key.md#ask) and [![p](a.svg)](x.py)"
        shipped = {"docs/getting-the-key.md", "docs/a.svg"}
        assert generator.linked("docs/install.md", text, shipped) == (
            "see the code, [the key](getting-the-key.md#ask) and ![p](a.svg)"
        )
        assert generator.linked("docs/a.md", "[all](../LICENSE)", shipped) == "[all](../copyright)"


def read_lines(name: Any) -> Any:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Any:
    """debian/generate without the tool of the package's build that writes the manual page of the command line."""
    manpage = ModuleType("argparse_manpage.manpage")
    setattr(manpage, "Manpage", None)  # noqa: B010
    monkeypatch.setitem(sys.modules, "argparse_manpage", ModuleType("argparse_manpage"))
    monkeypatch.setitem(sys.modules, "argparse_manpage.manpage", manpage)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("debian_generate", str(ROOT / "debian/generate"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
