"""What nesgw setup will write, from the answers and the configuration that is there. Pure: texts in, texts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesgw.commands.setup.toml_text import Change, Table, Unclear, Value, appended, block, changed
from nesgw.config.document import Document, Source
from nesgw.config.quantities import power_text
from nesgw.config.settings import Interface, NotPickled, Secret
from nesgw.errors import ConfigError

_HEAD: Final = (
    "# nesgw's configuration, begun by: nesgw setup\n"
    "# Every option: man nesgw.toml. Check it with: sudo nesgw check-config\n"
)
_AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Meter:
    """What is configured of a meter, as far as setup asks for it."""

    name: str
    port: str = _AUTO
    interface: Interface = "optical"
    label: str = ""
    max_power: float | None = None  # W; None: auto
    dtr: bool = False


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """What is configured of the broker. ``password`` is None where it stays as it is."""

    host: str
    port: int
    tls: bool = False
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that was answered. ``key`` is the text of a new key; None: it stays where it is."""

    meter: Meter
    key: Secret | None
    key_file: Path | None = None  # that holds the key already, beside the configuration
    broker: BrokerAccess | None = None  # None: stays as it is
    password_file: Path | None = None  # as key_file
    other_ports: tuple[tuple[str, str], ...] = ()  # meters that need a port of their own now, each with it


class Present(NotPickled):
    """The configuration that is there: its files with their texts. None may be there."""

    def __init__(self, path: Path, texts: Sequence[tuple[Path, str]], has_folder: bool) -> None:
        self.path = path
        self.texts = tuple(texts)
        self.has_folder = has_folder  # conf.d beside it: one meter a file
        document = Document([Source(str(file), text) for file, text in texts]) if texts else None
        self.raw: dict[str, Any] = document.raw if document else {}

    @property
    def names(self) -> list[str]:
        """The names of the meters."""
        return [str(meter.get("name", "")) for meter in self.raw.get("meter", ())]

    def option(self, name: str, option: str) -> Any:
        """Return what is said of one option of a meter; None if nothing is."""
        return next((meter.get(option) for meter in self.raw.get("meter", ()) if meter.get("name") == name), None)

    def mqtt(self, option: str) -> Any:
        """Return what is said of one option of the broker; None if nothing is."""
        return self.raw.get("mqtt", {}).get(option)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as it is to be. ``secret``: made for root and the service alone, whatever is there now."""

    path: Path
    text: Secret
    secret: bool


def planned(present: Present, answers: Answers) -> list[NewFile]:
    """Return every file that is to be written, the secrets first. Raises ConfigError where it cannot be changed."""
    return [*_secrets(present, answers), *_texts(present, answers)]


def secret_file(present: Present, option: object, default: str) -> Path:
    """Where a secret goes: into the file that the configuration names already, or beside the configuration."""
    return Path(str(option)) if option else present.path.absolute().parent / default


def _key_place(present: Present, answers: Answers) -> Path:
    name = answers.meter.name
    return answers.key_file or secret_file(present, present.option(name, "key_file"), f"{name}.key")


def _password_place(present: Present, answers: Answers) -> Path:
    return answers.password_file or secret_file(present, present.mqtt("password_file"), "mqtt.password")


def _secrets(present: Present, answers: Answers) -> Iterator[NewFile]:
    if answers.key is not None and answers.key_file is None:
        yield _secret(_key_place(present, answers), answers.key)
    if answers.broker and answers.broker.password is not None and answers.password_file is None:
        yield _secret(_password_place(present, answers), answers.broker.password)


def _secret(path: Path, value: Secret) -> NewFile:
    return NewFile(path, Secret(value.reveal() + b"\n"), secret=True)


def _texts(present: Present, answers: Answers) -> Iterator[NewFile]:
    """Change each file that says something of it already; add what nobody says."""
    old = dict(present.texts)
    new = {**({present.path: _HEAD} if not old else {}), **old}
    for file in old:
        new[file] = _changed(file, new[file], [*_changes_of_meters(present, answers, file)])
    if answers.meter.name not in present.names:
        added = block("meter", {"name": answers.meter.name, **_options(present, answers)})
        place = _place_of_new_meter(present, answers.meter.name)
        new[place] = appended(new.get(place, ""), added)
    speaking = [file for file, text in new.items() if "mqtt" in Source(str(file), text).raw]
    file = (speaking or list(new))[0]
    new[file] = _changed(file, new[file], [*_changes_of_broker(present, answers)])
    for file, text in new.items():
        if text != old.get(file):
            yield NewFile(file, Secret(text), secret=False)


def _place_of_new_meter(present: Present, name: str) -> Path:
    return present.path.parent / "conf.d" / f"{name}.toml" if present.has_folder and present.names else present.path


def _options(present: Present, answers: Answers) -> dict[str, Value]:
    """What is written of a meter; of what is usual nothing."""
    meter = answers.meter
    options: dict[str, Value] = {"label": meter.label}
    if meter.interface != "optical":
        options["interface"] = meter.interface
    options["port"] = meter.port
    if answers.key is not None or answers.key_file is not None:
        options["key_file"] = str(_key_place(present, answers))
    if meter.dtr:
        options["dtr"] = True
    if meter.max_power is not None:
        options["max_power"] = power_text(meter.max_power)
    return options


def _changes_of_meters(present: Present, answers: Answers, file: Path) -> Iterator[Change]:
    ports = dict(answers.other_ports)
    for index, meter in enumerate(Source(str(file), dict(present.texts)[file]).raw.get("meter", ())):
        name, table = meter.get("name"), ("meter", index)
        if name in ports:
            yield Change(table, "port", ports[name])
        if name == answers.meter.name:
            yield from _changes_of_meter(present, answers, table, meter)


def _changes_of_meter(present: Present, answers: Answers, table: Table, old: dict[str, Any]) -> Iterator[Change]:
    """Change what is said otherwise; what is usual anyway is not said."""
    wanted: dict[str, Value | None] = {**_options(present, answers)}
    if "key_file" in wanted:
        wanted["key"] = None
    usual = {"interface": "optical", "max_power": _AUTO, "port": _AUTO}
    for option, default in usual.items():
        if option not in wanted and old.get(option, default) != default:
            wanted[option] = default
    for option, value in wanted.items():
        if old.get(option, usual.get(option)) != value:
            yield Change(table, option, value)


def _changes_of_broker(present: Present, answers: Answers) -> Iterator[Change]:
    """Change what is said otherwise; what is usual anyway is not said, but for the host."""
    if answers.broker is None:
        return
    broker, old = answers.broker, present.raw.get("mqtt", {})
    wanted: dict[str, tuple[Value | None, Value]] = {
        "host": (broker.host, ""),
        "port": (broker.port, 1883),
        "username": (broker.username, ""),
    }
    if old.get("enabled") is False:
        yield Change(("mqtt",), "enabled", True)
    if broker.password is not None:
        wanted["password_file"] = (str(_password_place(present, answers)), "")
        yield Change(("mqtt",), "password", None)
    elif not broker.username and (old.get("password_file") or old.get("password")):
        yield from (Change(("mqtt",), option, None) for option in ("password_file", "password") if option in old)
    for option, (value, default) in wanted.items():
        said = old.get(option, default)
        if value != said and not (isinstance(said, list) and value in said):
            yield Change(("mqtt",), option, value)
    if old.get("tls", {}).get("enabled", False) != broker.tls:
        yield Change(("mqtt", "tls"), "enabled", broker.tls)


def _changed(file: Path, text: str, changes: list[Change]) -> str:
    try:
        return changed(text, changes)
    except Unclear as problem:
        what = ", ".join(f"{'.'.join(map(str, each.table[:1]))}.{each.option}" for each in changes)
        raise ConfigError([f"{file}: {problem}: set {what} by hand, then: sudo nesgw check-config"]) from None


# --- Which meter it is ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configured:
    """A meter of the configuration, for the choice."""

    name: str
    port: str
    has_key: bool


def chosen(
    meters: Sequence[Configured], port: str, adapters: Sequence[str], same: Callable[[str, str], bool]
) -> tuple[str | None, tuple[str, ...]]:
    """Tell which meter of the configuration a port is of: its name if that is certain, else those that it may be.

    ``adapters`` are all ports with an adapter; ``same`` says whether two names are of one device.
    """
    if named := [meter.name for meter in meters if meter.port != _AUTO and same(meter.port, port)]:
        return named[0], ()
    free = [meter for meter in meters if meter.port == _AUTO]
    if unfinished := [meter.name for meter in free if not meter.has_key]:
        return unfinished[0], ()
    others = [each for each in adapters if not same(each, port)]
    if free and not others and any(same(each, port) for each in adapters):
        return free[0].name, ()  # the only adapter there is
    return None, tuple(meter.name for meter in free)


def ports_of_the_others(
    meters: Sequence[Configured], mine: str, port: str, adapters: Sequence[str], same: Callable[[str, str], bool]
) -> tuple[tuple[str, str], ...]:
    """Give "auto", which cannot serve several meters, a name where another meter has it. Raises ConfigError."""
    for meter in meters:
        if meter.name != mine and meter.port == _AUTO:
            taken = [port, *(each.port for each in meters if each.port != _AUTO)]
            left = [each for each in adapters if not any(same(each, one) for one in taken)]
            if len(left) != 1:
                found = f"one of {', '.join(left)}" if left else "plug its probe in, or name it"
                raise ConfigError(
                    [f'meter.{meter.name}.port: "auto" cannot serve several meters; give it its own port: {found}']
                )
            return ((meter.name, left[0]),)
    return ()
