"""Reads the configuration that nesgw setup finds. One that is wrong has to be put right first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nesgw.commands.setup.plan import NewFile, Present
from nesgw.config import loader
from nesgw.config.schema import Config

_NOBODY: Final = '\n[[meter]]\nname = "nobody"\n'  # a configuration without a meter is sound but for that


def read_present(path: Path) -> Present:
    """Return what is there. Raises ConfigError for what cannot be read or is wrong."""
    texts = _texts(path)
    if path.exists() or texts:
        loader.open_document(path)  # a secret that everybody can read is refused, as everywhere
    present = Present(path, texts, (path.parent / loader.FURTHER).is_dir())
    config_of(texts, path)
    return present


def _texts(path: Path) -> list[tuple[Path, str]]:
    try:
        return [(file, file.read_bytes().decode()) for file in loader.files(path) if file.exists()]
    except (OSError, UnicodeDecodeError):
        loader.open_document(path)  # says which file, and why
        raise


def config_of(texts: list[tuple[Path, str]], path: Path, *, complete: bool = False) -> Config:
    """Return the configuration that some texts make; a meter is added where there is none yet."""
    joined = "\n".join(text.removeprefix("\ufeff") for _, text in texts)
    return loader.parse(joined if complete or "[[meter]]" in joined else joined + _NOBODY, str(path))


def config_with(present: Present, files: list[NewFile]) -> Config:
    """Return the configuration as it will be. Raises ConfigError if it would be wrong."""
    new = {file.path: file.text.reveal_text() for file in files if not file.secret}
    texts = {**dict(present.texts), **new}
    return config_of(
        sorted(texts.items(), key=lambda each: (each[0] != present.path, each[0])), present.path, complete=True
    )
