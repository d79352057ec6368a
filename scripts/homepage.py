"""Writes the address of the repository, ``nesgw.HOMEPAGE``, into the files that have to repeat it.

Run it as ``.venv/bin/python -m scripts.homepage`` after the address was set or changed; ``tests/test_homepage.py``
fails until then. While the address is empty none of the files names one. The paths below it are those of GitHub.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nesgw import HOMEPAGE

ROOT: Final = Path(__file__).parents[1]
_ADDRESS: Final = re.compile(r"https://[a-z0-9.-]+/[\w.-]+/[\w.-]+(?<!/)(?<!\.git)")


def main() -> None:
    """Write what differs, and say what that was."""
    if HOMEPAGE and not is_address(HOMEPAGE):
        sys.exit(f"HOMEPAGE in nesgw/__init__.py: {HOMEPAGE!r} is not like https://HOST/OWNER/nesgw")
    for name, write in FILES.items():
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        if (after := write(before, HOMEPAGE)) != before:
            path.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{name}: {HOMEPAGE or 'no address'}\n")


def is_address(text: str) -> bool:
    """Say whether a text is the address of a repository: https, host, owner and name, without .git and final slash."""
    return _ADDRESS.fullmatch(text) is not None


def _project(text: str, homepage: str) -> str:
    """Write [project.urls] of pyproject.toml."""
    rest = re.sub(r"\[project\.urls\]\n(?:.+\n)*\n", "", text)
    if not homepage:
        return rest
    urls = f'Homepage = "{homepage}"\nRepository = "{homepage}"\nIssues = "{homepage}/issues"\n'
    return rest.replace("[project.scripts]\n", f"[project.urls]\n{urls}\n[project.scripts]\n")


def _control(text: str, homepage: str) -> str:
    """Write the fields of debian/control."""
    rest = re.sub(r"^(?:Homepage|Vcs-\w+): .*\n", "", text, flags=re.MULTILINE)
    if not homepage:
        return rest
    fields = f"Homepage: {homepage}\nVcs-Browser: {homepage}\nVcs-Git: {homepage}.git\n"
    return re.sub(r"^Standards-Version: .*\n", lambda line: line[0] + fields, rest, flags=re.MULTILINE)


def _chooser(text: str, homepage: str) -> str:
    """Write the links beside the issue forms."""
    rest = re.sub(r"contact_links:\n(?: .*\n)+", "", text)
    if not homepage:
        return rest
    return f"""{rest}contact_links:
  - name: It does not work
    url: {homepage}/blob/HEAD/docs/troubleshooting.md
    about: Most troubles are in this list, by what you see, with what to do.
"""


FILES: Final[dict[str, Callable[[str, str], str]]] = {
    "pyproject.toml": _project,
    "debian/control": _control,
    ".github/ISSUE_TEMPLATE/config.yml": _chooser,
}


if __name__ == "__main__":
    main()
