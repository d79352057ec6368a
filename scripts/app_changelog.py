"""Writes the changelog that Home Assistant shows before an update of the app: the project's, without its links.

Run it as ``.venv/bin/python -m scripts.app_changelog`` after CHANGELOG.md was changed; a test fails until then.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def main() -> None:
    """Write the app's changelog."""
    project = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (ROOT / "deploy/home-assistant-app/CHANGELOG.md").write_text(for_home_assistant(project), encoding="utf-8")


def for_home_assistant(changelog: str) -> str:
    """Leave the text of every link that leads to a file: there are none beside the app."""
    return re.sub(r"\[([^]]+)\]\((?!https://)[^)]*\)", r"\1", changelog)


if __name__ == "__main__":
    main()
