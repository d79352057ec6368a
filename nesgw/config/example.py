"""Writes configurations: the example with every option, and what is in force, secrets masked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import SecretStr

from nesgw.config.schema import OPTICAL_ONLY, Config, MeterSection, Section, tables

_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f-\x9f]')


def example() -> str:
    """Return config.example.toml: every option with its default and its help."""
    head = (
        "# nesgw configuration. Every option with its default; only [[meter]] with name and key_file is needed,\n"
        "# and [mqtt] host, username and password_file where the broker is another machine.\n"
        "# Check it with: sudo nesgw check-config\n"
    )
    return "\n".join([head, *_example_tables(Config, "", defaults())])


def defaults() -> dict[str, Any]:
    """Return what an option is where nothing is said of it, table by table, as the configuration takes it."""
    return Config(meter=(MeterSection(name="house"),)).model_dump(mode="json")


def of_table(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the values of a table within ``values``; of a list of tables, those of the first."""
    found: dict[str, Any] | list[dict[str, Any]] = values[name]
    return found[0] if isinstance(found, list) else found


def _example_tables(model: type[Section], prefix: str, within: dict[str, Any]) -> Iterator[str]:
    for name, section in tables(model).items():
        dotted = prefix + name
        many = section is MeterSection
        values = of_table(within, name)
        about = "one block per meter and probe; at least one" if many else (section.__doc__ or "").rstrip(".")
        options = "".join(
            _option_line(option, (info.examples or [values[option]])[0], info.description or "")
            for option, info in section.model_fields.items()
            if option not in tables(section) and not info.exclude
        )
        yield f"# {about}\n{f'[[{dotted}]]' if many else f'[{dotted}]'}\n{options}"
        yield from _example_tables(section, f"{dotted}.", values)


def _option_line(option: str, value: object, comment: str) -> str:
    text = f"{option} = {toml_value(value)}"
    return f"{text:<30} # {comment}\n" if comment else f"{text}\n"


def toml_value(value: object) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    return f'"{_ESCAPED.sub(_escape, str(value))}"'


def _escape(sign: re.Match[str]) -> str:
    return f"\\u{ord(sign[0]):04x}" if sign[0] not in '\\"' else f"\\{sign[0]}"


def effective(config: Config) -> str:
    """Return the configuration in force as TOML, every secret masked."""
    return "\n".join(_effective_tables(config, ""))


def _effective_tables(section: Section, prefix: str) -> Iterator[str]:
    for name in tables(type(section)):
        value = getattr(section, name)
        for inner in value if isinstance(value, tuple) else (value,):
            dotted = prefix + name
            header = f"[[{dotted}]]" if isinstance(value, tuple) else f"[{dotted}]"
            options = (f"{option} = {toml_value(shown)}\n" for option, shown in masked(inner).items())
            yield f"{header}\n{''.join(options)}"
            yield from _effective_tables(inner, f"{dotted}.")


def masked_tables(section: Section) -> dict[str, Any]:
    """Return the configuration in force as plain values, table within table, every secret masked."""
    values: dict[str, Any] = masked(section)
    for name in tables(type(section)):
        inner = getattr(section, name)
        values[name] = [masked_tables(each) for each in inner] if isinstance(inner, tuple) else masked_tables(inner)
    return values


def masked(section: Section) -> dict[str, Any]:
    """Return the options of one table as the configuration takes them; of a secret, only that it is set."""
    inner = tables(type(section))
    values = {name: value for name, value in section.model_dump(mode="json").items() if name not in inner}
    if isinstance(section, MeterSection) and section.interface == "mep":
        values = {name: value for name, value in values.items() if name not in OPTICAL_ONLY}
    for name, info in type(section).model_fields.items():
        secret = getattr(section, name)
        if info.exclude and isinstance(secret, SecretStr) and secret.get_secret_value():
            values[name] = "********"
    return values
