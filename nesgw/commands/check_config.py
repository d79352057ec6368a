"""nesgw check-config: validates the configuration and prints what is in force, every secret masked."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nesgw import CONFIG_FILE
from nesgw.errors import EX_OK, ConfigError, WrongUsage

if TYPE_CHECKING:
    from nesgw.config.credentials import Credentials
    from nesgw.config.document import Location, Mistake
    from nesgw.config.loader import Loaded


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--json", action="store_true", help="print JSON: what is in force, or the mistakes")
    parser.epilog = "Run as root it also judges whether the service's user can read each file. Exits 0, or 78 if not."


def config_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add --config, the same in every command."""
    parser.add_argument(
        "--config", type=Path, default=Path(CONFIG_FILE), metavar="FILE", help=f"configuration (default: {CONFIG_FILE})"
    )


def refuse_config_beside_port(options: argparse.Namespace) -> None:
    """Raise WrongUsage where --port stands beside --config or --meter: one of the two would silently not count."""
    if options.port and options.config != Path(CONFIG_FILE):
        raise WrongUsage(command=options.command, problem="--port does without a configuration: give it or --config")
    if options.port and options.meter:
        raise WrongUsage(command=options.command, problem="--meter is for the configuration, which --port does without")


def run(options: argparse.Namespace) -> int:
    """Exit 0, or 78 with a line for each mistake."""
    from nesgw.config.document import WrongConfiguration
    from nesgw.config.example import effective

    try:
        checked = check(options.config)
    except WrongConfiguration as error:
        if not options.json:
            raise
        print(json.dumps({"ok": False, "mistakes": [_plain(mistake) for mistake in error.mistakes]}, indent=2))
        return error.exit_code
    if options.json:
        print(json.dumps(_report(checked), indent=2, ensure_ascii=False))
        return EX_OK
    print(effective(checked.loaded.config), end="")
    for name, key in checked.loaded.secrets.keys.items():
        print(f"# meter {name}: the key was recognised as {key.form}")
    for kind, lines in (("remark", checked.remarks), ("skipped", checked.skipped)):
        for line in lines:
            print(f"# {kind}: {line}")
    return EX_OK


@dataclass(frozen=True, slots=True)
class Checked:
    """A sound configuration, what to think about, and what could not be looked at from here."""

    loaded: Loaded
    remarks: tuple[str, ...]
    skipped: tuple[str, ...]


def check(path: Path) -> Checked:
    """Look at everything that the daemon will need of its configuration. Raises WrongConfiguration."""
    from nesgw.config import access, credentials, loader
    from nesgw.config.document import WrongConfiguration

    given = credentials.of_the_service()
    loaded = loader.load_document(loader.open_document(path), given)
    mistakes = [*_cache_mistakes(loaded), *_tls_mistakes(loaded)]
    skipped = [
        f"meter {meter.name}: its key is a systemd credential, which only the service sees"
        for meter in loaded.config.meter
        if meter.name not in loaded.secrets.keys
    ]
    if (user := access.service_user()) is not None and os.geteuid() != user.pw_uid:
        if os.geteuid() == 0:
            mistakes += access_mistakes(loaded, loader.files(path))
        else:
            skipped.append(f"whether {user.pw_name}, the service's user, can read the files; to know, run it with sudo")
    if mistakes:
        raise WrongConfiguration(mistakes)
    return Checked(loaded, tuple(_remarks(loaded, given)), tuple(skipped))


def _cache_mistakes(loaded: Loaded) -> Iterator[Mistake]:
    from nesgw.publishers.ram_disk import refuse_disk

    cache = loaded.config.cache
    if not cache.allow_disk:
        try:
            refuse_disk(Path(cache.directory))
        except ConfigError as error:
            for problem in error.problems:
                yield loaded.document.mistake(("cache", "directory"), problem.removeprefix("[cache] directory: "))


def _tls_mistakes(loaded: Loaded) -> Iterator[Mistake]:
    """Load the certificates as the daemon will."""
    from nesgw.config.loader import settings
    from nesgw.publishers.mqtt.trouble import tls_context

    tls = settings(loaded.config).mqtt.tls
    if loaded.config.mqtt.enabled and tls is not None:
        try:
            tls_context(tls)
        except ConfigError as error:
            for problem in error.problems:
                option, _, sentence = problem.removeprefix("[mqtt.tls] ").partition(": ")
                yield loaded.document.mistake(("mqtt", "tls", option), sentence)


def access_mistakes(loaded: Loaded, files: list[Path]) -> Iterator[Mistake]:
    """What the service's user may not read or write, although root may."""
    from nesgw.config import access
    from nesgw.config.document import Mistake

    user = access.service_user()
    assert user is not None  # noqa: S101 (asked by the caller)
    further = {file.parent for file in files[1:]}  # the folder itself has to be looked into
    for file, problem in access.unreadable([*files, *further], user):
        yield Mistake(str(file), 0, "", problem)
    for location, file in service_files(loaded):
        for _, problem in access.unreadable([file], user):
            yield loaded.document.mistake(location, problem)
    cache = Path(loaded.config.cache.directory)
    folders = [folder for meter in loaded.config.meter if (folder := cache / meter.name).exists()]
    for _, problem in access.unwritable([cache, *folders], user):
        yield loaded.document.mistake(("cache", "directory"), problem)


def service_files(loaded: Loaded) -> Iterator[tuple[Location, Path]]:
    """List the files beside the configuration that the service reads, each with the option that names it."""
    config = loaded.config
    tls = config.mqtt.tls
    named: list[tuple[Location, str]] = [
        (("meter", index, "key_file"), meter.key_file) for index, meter in enumerate(config.meter)
    ]
    if config.mqtt.enabled:
        named.append((("mqtt", "password_file"), config.mqtt.password_file))
        if tls.enabled:
            named += [
                (("mqtt", "tls", option), getattr(tls, option)) for option in ("ca_file", "cert_file", "key_file")
            ]
    if config.http.enabled:
        named.append((("http", "token_file"), config.http.token_file))
    yield from ((location, Path(file)) for location, file in named if file)


def _remarks(loaded: Loaded, given: Credentials) -> Iterator[str]:
    """What is no mistake, but seldom meant."""
    mqtt = loaded.config.mqtt
    if mqtt.enabled and mqtt.username and not loaded.secrets.mqtt_password and "mqtt-password" not in given:
        yield "mqtt.username is set without a password; set password_file, if the broker asks for one"
    if mqtt.enabled and mqtt.port == 8883 and not mqtt.tls.enabled:
        yield "mqtt.port 8883 is usually that of TLS; set [mqtt.tls] enabled = true, if it is"
    if mqtt.enabled and mqtt.port == 1883 and mqtt.tls.enabled:
        yield "mqtt.port 1883 is usually that without TLS; with TLS it is usually 8883"


def _report(checked: Checked) -> dict[str, Any]:
    from nesgw.config.example import masked_tables

    config, keys = checked.loaded.config, checked.loaded.secrets.keys
    return {
        "ok": True,
        "configuration": masked_tables(config),
        "keys": {
            meter.name: keys[meter.name].form if meter.name in keys else None for meter in checked.loaded.config.meter
        },
        "remarks": checked.remarks,
        "skipped": checked.skipped,
    }


def _plain(mistake: Mistake) -> dict[str, Any]:
    """Write a mistake as JSON takes it: null where there is no line or no option."""
    found = asdict(mistake)
    return {name: found[name] or None for name in ("file", "line", "option", "problem")}
