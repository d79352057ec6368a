"""The steps of nesgw doctor for where the readings go: the RAM disk and the broker. Changes nothing there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final

from nesgw.commands.doctor.examination import Finding, Step, failed, ok, skipped
from nesgw.config.settings import CacheSettings, MqttSettings
from nesgw.errors import EX_CONFIG, EX_UNAVAILABLE, BrokerUnavailable, CacheUnavailable
from nesgw.publishers.mqtt.session import BrokerSession
from nesgw.publishers.mqtt.trouble import Stage
from nesgw.publishers.payloads import SeenGateway, parse_gateway_status
from nesgw.publishers.ram_disk import filesystem, refuse_disk
from nesgw.publishers.topics import Topics

_ROOM: Final = 256 * 1024  # bytes that a meter's files and their successors take, amply


@dataclass
class GatewayCase:
    """Where the readings go."""

    cache: CacheSettings
    mqtt: MqttSettings | None  # None: switched off
    password_problem: str
    topics: Topics
    trouble: BrokerUnavailable | None = None  # that came after the broker was reached
    service_runs: bool = False
    status: SeenGateway | None = None  # what the service says on the broker


def _cache(case: GatewayCase) -> Finding:
    directory = case.cache.directory
    if not case.cache.allow_disk:
        refuse_disk(directory)
    place = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    if shutil.disk_usage(place).free < _ROOM:
        raise CacheUnavailable(directory=directory, problem="No space left on device")
    kind = filesystem(directory)
    if case.cache.allow_disk:
        return ok(f"{directory} is on {kind}: allow_disk = true says that this may be")
    return ok(f"{directory} is on {kind}")


def _broker(case: GatewayCase) -> Finding:
    """Visit the broker once, and leave to the next steps what they have to say of it."""
    if case.mqtt is None:
        return skipped("[mqtt] enabled = false", blocks=True)
    try:
        with BrokerSession(case.mqtt, "nesgw-doctor") as session:
            case.mqtt = session.settings
            said = session.retained([case.topics.gateway_status])
            case.status = parse_gateway_status(said.get(case.topics.gateway_status))
    except BrokerUnavailable as trouble:
        if trouble.facts["stage"] == Stage.REACH.value:
            raise
        case.trouble = trouble
    return ok(f"{case.mqtt.host}:{case.mqtt.port} is there")


def _tls(case: GatewayCase) -> Finding:
    if case.mqtt is None or case.mqtt.tls is None:
        return skipped("[mqtt.tls] enabled = false")
    if case.trouble and case.trouble.facts["stage"] == Stage.TLS.value:
        raise case.trouble
    if not case.mqtt.tls.verify_hostname:
        return ok("the certificate is valid; for whom is not asked (verify_hostname = false)")
    return ok(f"the certificate is valid, and made out to {case.mqtt.host}")


def _login(case: GatewayCase) -> Finding:
    if case.password_problem:
        return failed(case.password_problem, exit_code=EX_CONFIG)
    if case.trouble:
        raise case.trouble
    assert case.mqtt is not None  # noqa: S101
    return ok(f'as user "{case.mqtt.username}"' if case.mqtt.username else "without a user name")


def _topics(case: GatewayCase) -> Finding:
    """See what the running service has found out: it watches whether its messages arrive, and who else speaks."""
    if case.status is None and case.service_runs:
        return failed(
            "the service runs, but what it says of itself cannot be read there",
            f"allow this user to write and to read {case.topics.gateway_status} in the broker's access control list; "
            "what the service sees: journalctl -u nesgw",
            exit_code=EX_UNAVAILABLE,
        )
    if case.status is None:
        return skipped("the service has said nothing there, or this user may not read it")
    if case.status.problem:
        return failed(f"the service says: {case.status.problem}", exit_code=EX_UNAVAILABLE)
    return ok(f"the service published its status as gateway {case.topics.gateway}")


GATEWAY_STEPS: Final[tuple[Step[GatewayCase], ...]] = (
    Step("RAM disk", _cache),
    Step("broker", _broker),
    Step("broker's TLS", _tls, needs=("broker",)),
    Step("broker's login", _login, needs=("broker", "broker's TLS")),
    Step("broker's topics", _topics, needs=("broker", "broker's login")),
)
