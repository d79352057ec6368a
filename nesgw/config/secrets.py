"""Keys, passwords and tokens: where the configuration says they are, read without ever showing one."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from nesgw.config import access, files
from nesgw.config.key import Key, bare, is_key, parse_key
from nesgw.config.schema import MeterSection, MqttSection
from nesgw.config.settings import NO_SECRET, Interface, Secret

_LONGEST_FILE: Final = 65536
_LONGEST_PASSWORD: Final = 65535  # bytes [MQTT 3.1.1, 1.5.3]
# What somebody writes who takes the file for a configuration; no password begins like that.
_OPTION: Final = re.compile(r"(key|password|token)\s*=\s*[\"']")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the configuration points to."""

    keys: Mapping[str, Key] = field(default_factory=lambda: MappingProxyType({}))  # by the meter's name
    mqtt_password: Secret = NO_SECRET
    http_token: Secret | None = None


NO_SECRETS: Final = Secrets()


def read_key(meter: MeterSection) -> Key:
    """Read a meter's key from where its block says it is. Raises ValueError with what to do."""
    text = _secret(meter.key.get_secret_value(), meter.key_file, f"{meter.name}.key")
    if text is None:
        raise ValueError(
            f'the meter has no key; put it into a file and name that: key_file = "/etc/nesgw/{meter.name}.key"'
        )
    return parse_key(text, meter.interface)


def has_none(meter: MeterSection) -> bool:
    """Whether a meter's block names no key, and none is handed to this process."""
    credential = _credential(f"{meter.name}.key")
    handed_over = os.path.isfile(credential)  # noqa: PTH113 (False, too, where it may not be looked for)
    return not (meter.key.get_secret_value() or meter.key_file or handed_over)


def read_password(mqtt: MqttSection) -> Secret:
    """Read the broker's password; an empty one where there is none. Raises ValueError with what to do."""
    direct = mqtt.password.get_secret_value()
    text = _secret(direct, mqtt.password_file, "mqtt-password")
    if text is None:
        return NO_SECRET
    return Secret(_one_line(text if direct else bare(text), "password"))


def read_token(file: str, credential: str | None = None) -> Secret | None:
    """Read an access token; None where none is named, in a file or as a systemd credential.

    Raises ValueError with what to do.
    """
    text = _secret("", file, credential)
    return None if text is None else Secret(_one_line(bare(text), "token"))


def read_key_file(path: str, interface: Interface = "optical") -> Key:
    """Read a key from a file that others cannot read. Raises ValueError with what to do."""
    if is_key(path):
        raise ValueError("this is the key itself: write it into a file that only you can read, and name that file")
    return parse_key(private_text(Path(path)), interface)


def private_text(path: Path) -> str:
    """Read a file that others cannot read. Raises ValueError with what to do."""
    try:
        mode = path.stat().st_mode
        files.refuse_no_file(path, mode)
        if access.open_to_all(mode):
            raise ValueError(f"{path} can be read by everyone on this machine; run: {access.making_private(path)}")
        return _text(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path} does not exist; make it, then write the secret into it: {access.making(path)}"
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path} is a link that leads back to itself; name the file itself") from None
        raise ValueError(f"{path} cannot be read by this user ({error.strerror}); {access.opening(path)}") from None


def _secret(direct: str, path: str, credential: str | None) -> str | None:
    """Take a secret from the option itself, the file that it names, or the systemd credential."""
    if direct and path:
        raise ValueError("given twice: keep either the file or the value")
    if direct:
        return direct
    if path:
        return private_text(Path(path))
    loaded = _credential(credential or "")
    try:
        return _text(loaded) if loaded.is_file() else None
    except OSError as error:
        raise ValueError(f"the systemd credential {loaded} cannot be read by this user ({error.strerror})") from None


def _credential(name: str) -> Path:
    # systemd.exec(5), LoadCredential=: a private directory that only this service can read.
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), name)


def _text(path: Path) -> str:
    try:
        return files.text_of(files.read_bytes(path, _LONGEST_FILE))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file") from None


def _one_line(text: str, what: str) -> str:
    if not text:
        raise ValueError(f"the {what} is empty; write it into the file, or take the option out")
    if len(text.splitlines()) > 1:
        raise ValueError(f"{len(text.splitlines())} lines; the file holds the {what} alone, on one line")
    if _OPTION.match(text):
        raise ValueError(f"the file holds an option; it holds the {what} alone, without a name and quotes")
    if control := _CONTROL.search(text):
        raise ValueError(f"character {control.start() + 1} of the {what} is a control character; write it again")
    if len(text.encode()) > _LONGEST_PASSWORD:
        raise ValueError(f"the {what} is longer than the {_LONGEST_PASSWORD} bytes that MQTT can send")
    return text
