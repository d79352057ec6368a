"""The doctor's steps one by one: what is found, what is to be done, what is left alone."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nesgw.commands.doctor import meter_steps
from nesgw.commands.doctor.case import MeterCase
from nesgw.commands.doctor.examination import Examination, Mark, Step, failed, ok, skipped
from nesgw.commands.doctor.gateway_steps import GATEWAY_STEPS, GatewayCase
from nesgw.commands.doctor.meter_steps import METER_STEPS, may_open
from nesgw.commands.doctor.report import load_report
from nesgw.config.settings import CacheSettings, MqttSettings, Secret, TlsSettings
from nesgw.errors import PortDenied
from nesgw.publishers.mqtt import retained
from nesgw.publishers.topics import Topics
from tests.broker_fixtures import Broker, Listener, TlsBroker


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "QUIET", 0.2)


class TestExamination:
    def taken(self, *steps: Any) -> Any:
        examination = Examination(None)
        return [examination.take(step) for step in steps]

    def test_what_builds_on_a_failure_is_not_tried_and_names_it(self) -> None:
        def never(_: Any) -> None:
            raise AssertionError

        found = self.taken(
            Step("port", lambda _: failed("gone", exit_code=69)),
            Step("echo", never, needs=("port",)),
            Step("meter", never, needs=("echo",)),
        )
        assert [(each.mark, each.text) for each in found] == [
            (Mark.FAILED, "gone"),
            (Mark.SKIPPED, "needs: port"),
            (Mark.SKIPPED, "needs: echo"),
        ]

    def test_what_is_skipped_for_a_good_reason_stops_nobody(self) -> None:
        found = self.taken(
            Step("echo", lambda _: skipped("not now")), Step("meter", lambda _: ok("there"), needs=("echo",))
        )
        assert found[1].mark is Mark.OK

    def test_an_error_of_ours_is_a_finding_with_its_remedy_and_exit_code(self) -> None:
        def look(_: Any) -> None:
            raise PortDenied(port="/dev/ttyUSB0", user="pi", group="audio")

        (found,) = self.taken(Step("permission", look))
        assert found.text == "/dev/ttyUSB0: permission denied for user pi; the device belongs to group audio"
        assert found.do == ("sudo usermod -aG audio pi, then log in again",)
        assert (found.mark, found.exit_code) == (Mark.FAILED, 77)

    def test_what_this_user_may_not_look_at_is_a_finding_too(self) -> None:
        def look(_: Any) -> None:
            raise PermissionError(13, "Permission denied", "/root/probe")

        (found,) = self.taken(Step("port", look))
        assert (found.text, found.do) == ("/root/probe: this user may not look there", ("sudo nesgw doctor",))
        assert (found.mark, found.exit_code) == (Mark.FAILED, 77)

    def test_every_step_needs_only_what_comes_before_it(self) -> None:
        every: list[tuple[Step[Any], ...]] = [*METER_STEPS.values(), GATEWAY_STEPS]
        for steps in every:
            titles = [step.title for step in steps]
            for index, step in enumerate(steps):
                assert set(step.needs) <= set(titles[:index])


@pytest.mark.parametrize(
    ("mode", "user", "groups", "may"),
    [
        (0o660, 990, [990, 20], True),  # in the port's group
        (0o660, 990, [990], False),
        (0o640, 990, [20], False),  # may read, and not write
        (0o666, 990, [990], True),
        (0o600, 0, [], True),  # its owner
        (0o606, 990, [20], False),  # the group's bits count for its members, not everybody's
    ],
)
def test_a_port_may_be_opened_by_who_its_mode_lets_read_and_write(
    mode: int, user: int, groups: list[Any] | list[int], may: bool
) -> None:
    assert may_open(mode, 0, 20, user, groups) is may


class TestReport:
    def write(
        self,
        folder: Any,
        age: float = 0.0,
        last_error: Any | None = None,
        read_ago: float = 1.0,
        reading: bool = True,
        kind: Any | None = None,
    ) -> Any:
        read = (datetime.now(UTC) - timedelta(seconds=read_ago)).isoformat()
        (folder / "status.json").write_text(
            json.dumps({"last_read": read, "last_error": last_error, "last_error_kind": kind})
        )
        then = time.time() - age
        os.utime(folder / "status.json", (then, then))
        if reading:
            (folder / "reading.json").write_text(json.dumps({"time": read, "power": 512}))
        return load_report(folder)

    def test_a_fresh_one_is_a_living_service_that_reads(self, tmp_path: Path) -> None:
        report = self.write(tmp_path)
        assert report.is_live(10)
        assert report.read_lately(10)
        assert report.values == {"power": 512}

    def test_an_old_one_is_left_over(self, tmp_path: Path) -> None:
        assert not self.write(tmp_path, age=91).is_live(10)
        assert self.write(tmp_path, age=91).is_live(60)

    def test_a_service_that_waits_with_a_refused_key_is_silent_for_up_to_an_hour(self, tmp_path: Path) -> None:
        report = self.write(tmp_path, age=3000, last_error="the meter refused the key", kind="key")
        assert report.is_live(10)
        assert report.key_refused
        assert not self.write(tmp_path, age=3700, last_error="the meter refused the key", kind="key").is_live(10)

    def test_a_service_may_live_and_read_nothing(self, tmp_path: Path) -> None:
        report = self.write(tmp_path, read_ago=500, last_error="the meter refused the key", kind="no_answer")
        assert report.is_live(10)
        assert not report.read_lately(10)
        assert not report.key_refused

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"last_read": 5, "last_error": null}', "\xff"])
    def test_what_is_no_report_is_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "status.json").write_text(text, encoding="latin-1")
        assert load_report(tmp_path) is None
        assert load_report(tmp_path / "absent") is None

    def test_a_status_without_a_reading_is_a_report(self, tmp_path: Path) -> None:
        assert self.write(tmp_path, reading=False).values == {}


class TestGateway:
    def examined(
        self, settings: Any | None = None, cache: str = "/dev/shm", allow_disk: bool = False, password_problem: str = ""
    ) -> Any:
        case = GatewayCase(CacheSettings(Path(cache), allow_disk), settings, password_problem, Topics("nesgw", "attic"))
        examination = Examination(case)
        return {step.title: examination.take(step) for step in GATEWAY_STEPS}

    def marks(self, found: Any) -> Any:
        return {title: finding.mark.value for title, finding in found.items()}

    def test_a_cache_in_memory(self) -> None:
        assert self.examined()["RAM disk"].text == "/dev/shm is on tmpfs"

    def test_a_cache_on_a_disk_is_a_mistake_in_the_configuration(self) -> None:
        found = self.examined(cache="/proc/nesgw")["RAM disk"]
        assert (found.mark, found.exit_code) == (Mark.FAILED, 78)
        assert "/proc/nesgw is on proc, not on a RAM disk" in found.text

    def test_a_disk_that_is_allowed_is_told(self) -> None:
        found = self.examined(cache="/proc/nesgw", allow_disk=True)["RAM disk"]
        assert found.mark is Mark.FAILED  # no room in /proc
        assert "No space left" in found.text

    def test_without_mqtt_nothing_is_asked_of_a_broker(self) -> None:
        assert self.marks(self.examined()) == {
            "RAM disk": "ok",
            "broker": "skipped",
            "broker's TLS": "skipped",
            "broker's login": "skipped",
            "broker's topics": "skipped",
        }

    def test_a_broker_that_lets_everybody_in(self, broker: Broker) -> None:
        found = self.examined(MqttSettings(broker.host, broker.port))
        assert self.marks(found) == {
            "RAM disk": "ok",
            "broker": "ok",
            "broker's TLS": "skipped",
            "broker's login": "ok",
            "broker's topics": "skipped",
        }

    @pytest.mark.parametrize(
        ("problem", "mark", "text"),
        [
            (None, Mark.OK, "the service published its status as gateway attic"),
            ("it does not keep x\x1b[2J", Mark.FAILED, "the service says: it does not keep x\\x1b[2J"),
        ],
    )
    def test_what_the_running_service_found_out_about_its_topics(
        self, broker: Broker, problem: str | None, mark: Any, text: str
    ) -> None:
        listener = Listener(broker.port)
        listener.say("nesgw/gateway/attic/status", json.dumps({"meters": {}, "problem": problem}), retain=True)
        listener.close()
        found = self.examined(MqttSettings(broker.host, broker.port))["broker's topics"]
        assert (found.mark, found.text) == (mark, text)

    def test_a_service_that_runs_and_cannot_be_read_there_is_a_failure(self, broker: Broker) -> None:
        case = GatewayCase(
            CacheSettings(Path("/dev/shm"), False),
            MqttSettings(broker.host, broker.port),
            "",
            Topics("nesgw", "attic"),
            service_runs=True,
        )
        examination = Examination(case)
        found = {step.title: examination.take(step) for step in GATEWAY_STEPS}["broker's topics"]
        assert (found.mark, found.exit_code) == (Mark.FAILED, 69)
        assert found.text == "the service runs, but what it says of itself cannot be read there"
        assert found.do[0].startswith("allow this user to write and to read nesgw/gateway/attic/status")

    def test_no_broker(self, absent_broker: Broker) -> None:
        found = self.examined(MqttSettings(absent_broker.host, absent_broker.port))
        assert found["broker"].text.endswith("no broker listens there")
        assert found["broker"].do[0].startswith("start it (sudo systemctl start mosquitto)")
        assert found["broker's login"].text == "needs: broker"

    def test_a_wrong_password_is_the_login_s_failure_alone_and_is_not_shown(self, password_broker: Broker) -> None:
        found = self.examined(MqttSettings("127.0.0.1", password_broker.port, "meter", Secret("wrong donkey")))
        assert self.marks(found)["broker"] == "ok"
        assert found["broker's login"].text.endswith('it refused the login of user "meter"')
        assert "donkey" not in str(found)

    def test_the_right_password(self, password_broker: Broker) -> None:
        found = self.examined(MqttSettings("127.0.0.1", password_broker.port, "meter", Secret("correct horse")))
        assert found["broker's login"].text == 'as user "meter"'

    def test_a_password_file_that_cannot_be_read_is_the_login_s_failure(self, password_broker: Broker) -> None:
        settings = MqttSettings("127.0.0.1", password_broker.port, "meter")
        found = self.examined(settings, password_problem="/etc/nesgw/mqtt.password does not exist")
        assert found["broker"].mark is Mark.OK
        assert (found["broker's login"].mark, found["broker's login"].exit_code) == (Mark.FAILED, 78)

    def test_a_certificate_that_holds(self, tls_broker: TlsBroker) -> None:
        tls = TlsSettings(tls_broker.ca_file, tls_broker.cert_file, tls_broker.key_file)
        found = self.examined(MqttSettings("localhost", tls_broker.port, tls=tls))
        assert found["broker's TLS"].text == "the certificate is valid, and made out to localhost"
        assert found["broker's login"].mark is Mark.OK

    def test_a_certificate_of_a_strange_ca(self, tls_broker: TlsBroker) -> None:
        tls = TlsSettings(tls_broker.other_ca_file)
        found = self.examined(MqttSettings("localhost", tls_broker.port, tls=tls))
        assert found["broker"].mark is Mark.OK
        assert "a CA that is not trusted" in found["broker's TLS"].text
        assert found["broker's login"].text == "needs: broker's TLS"


class TestPermission:
    """The pseudo terminal's own mode; who asks and who the service is are put in place."""

    @pytest.fixture
    def case(self, tmp_path: Path) -> Any:
        from nesgw.config.settings import MeterSettings

        device = tmp_path / "ttyUSB7"
        device.touch()
        device.chmod(0o660)
        case = MeterCase(MeterSettings("house", str(device)), None)
        case.name = str(device)
        return case

    def test_the_group_in_the_advice_is_the_port_s_own(self, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(name: Any, **_: Any) -> None:
            raise PortDenied(port=name, user="pi", group="audio")

        monkeypatch.setattr(meter_steps, "open_port", denied)
        found = Examination(case).take(Step("permission", meter_steps._permission))
        assert (found.mark, found.exit_code) == (Mark.FAILED, 77)
        assert found.do == ("sudo usermod -aG audio pi, then log in again",)

    def test_root_may_while_the_service_may_not(self, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        class Opened:
            def close(self) -> None:
                pass

        class Nesgw:
            pw_name, pw_uid, pw_gid = "nesgw", 64000, 64000

        monkeypatch.setattr(meter_steps, "open_port", lambda name, **_: Opened())
        monkeypatch.setattr(meter_steps, "service_user", lambda: Nesgw)
        monkeypatch.setattr("nesgw.commands.doctor.meter_steps.os.getgrouplist", lambda name, group: [64000])
        monkeypatch.setattr(meter_steps, "_group_name", lambda number: "dialout")
        found = Examination(case).take(Step("permission", meter_steps._permission))
        assert found.mark is Mark.FAILED
        assert not found.blocks  # we have the port, and go on
        assert "permission denied for user nesgw; the device belongs to group dialout" in found.text
        assert found.do == ("sudo usermod -aG dialout nesgw", "then: sudo systemctl restart nesgw")
        monkeypatch.setattr(
            "nesgw.commands.doctor.meter_steps.os.getgrouplist", lambda name, _: [64000, Path(case.name).stat().st_gid]
        )
        found = Examination(case).take(Step("permission", meter_steps._permission))
        assert found.text == "granted, to the service too; the port belongs to group dialout"
