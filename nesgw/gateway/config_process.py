"""Reads the configuration in a process of its own, so that the daemon need not keep the validator.

What validates costs ten megabytes and a good part of the start, and is used once. The child reads while the parent
imports the rest, hands over plain values, and ends. Where that does not work the configuration is read here.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from nesgw.errors import ConfigError

if TYPE_CHECKING:
    from nesgw.config.schema import Config, Secrets

    Loaded = tuple[Config, Secrets]


def loading(path: Path) -> Callable[[], Loaded]:
    """Begin to read a configuration; the answer waits for it, and raises ConfigError as ``config.load`` does.

    To be called before there is a second thread.
    """
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(path, sink)
    os.close(sink)

    def result() -> Loaded:
        with os.fdopen(source, "rb") as answer:
            said = answer.read()
        # Its memory takes a while to be given back.
        threading.Thread(target=os.waitpid, args=(child, 0), daemon=True).start()
        if not said:  # the child has died: whatever killed it shows better here
            from nesgw.config import schema as config

            return config.load(path)
        problems, loaded = pickle.loads(said)  # noqa: S301 (from our own child)
        if problems:
            raise ConfigError(problems)
        return cast("Loaded", loaded)

    return result


def _answer(path: Path, sink: int) -> None:
    """Be the child."""
    try:
        from nesgw.config import schema as config

        problems: list[str] = []
        said: tuple[object, ...] = ()
        try:
            loaded, secrets = config.load(path)
            said = _plain(loaded), SimpleNamespace(keys=secrets.keys, mqtt_password=secrets.mqtt_password)
        except ConfigError as error:
            problems = error.problems
        with os.fdopen(sink, "wb") as answer:
            pickle.dump((problems, said), answer)
    finally:
        os._exit(0)


def _plain(value: object) -> object:
    """Give a section as a namespace with the same names, properties included; secrets stay behind."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    fields = getattr(type(value), "model_fields", None)
    if fields is None:
        return value
    names = [name for name, info in fields.items() if not info.exclude]
    names += [name for name, member in vars(type(value)).items() if isinstance(member, property)]
    return SimpleNamespace(**{name: _plain(getattr(value, name)) for name in names})
