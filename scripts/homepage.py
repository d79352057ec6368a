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


def _repository(text: str, homepage: str) -> str:
    """Write the address of Home Assistant's repository of apps."""
    rest = re.sub(r"^url: .*\n", "", text, flags=re.MULTILINE)
    return rest + f"url: {homepage}\n" if homepage else rest


def _app(text: str, homepage: str) -> str:
    """Write where the app is explained and where its image is; without an image Home Assistant builds it itself."""
    rest = re.sub(r"^(?:url|image): .*\n", "", text, flags=re.MULTILINE)
    if not homepage:
        return rest
    lines = f"url: {homepage}\n" + (f"image: {image}\n" if (image := _image(homepage)) else "")
    return re.sub(r"^description: .*\n", lambda line: line[0] + lines, rest, flags=re.MULTILINE)


def _recipe(text: str, homepage: str) -> str:
    """Write the label that leads from the image to its source."""
    rest = re.sub(r"^LABEL org\.opencontainers\.image\.source=.*\n", "", text, flags=re.MULTILINE)
    return rest + f'LABEL org.opencontainers.image.source="{homepage}"\n' if homepage else rest


def _compose(text: str, homepage: str) -> str:
    """Write the name of the image; without a published one it is the one that was built here."""
    rest = re.sub(r"^# Source: .*\n", "", text, flags=re.MULTILINE)
    rest = re.sub(r"^    image: .*\n", f"    image: {_image(homepage) or 'nesgw'}\n", rest, flags=re.MULTILINE)
    return f"# Source: {homepage}\n" + rest if homepage else rest


def _install(text: str, homepage: str) -> str:
    """Write where the source and the apt repository are."""
    rest = re.sub(r'^HOMEPAGE=".*"$', f'HOMEPAGE="{homepage}"', text, flags=re.MULTILINE)
    return re.sub(r'^PACKAGES=".*"$', f'PACKAGES="{packages(homepage)}"', rest, flags=re.MULTILINE)


def _pages(text: str, homepage: str) -> str:
    """Write the links at the end of the app's documentation."""
    rest = text.split("\n## More\n")[0]
    if not homepage:
        return rest
    docs = f"{homepage}/blob/HEAD/docs"
    return f"""{rest}
## More

- [Which key to ask for]({docs}/getting-the-key.md)
- [What Home Assistant shows]({docs}/home-assistant.md)
- [It does not work]({docs}/troubleshooting.md)
- [All of the documentation]({docs}/README.md), [the source]({homepage})
"""


def packages(homepage: str) -> str:
    """Return where the pages of a repository are, and so its packages; "" where nobody knows."""
    host, owner, name = homepage.removeprefix("https://").split("/") if homepage else ("", "", "")
    return f"https://{owner.lower()}.github.io/{name}" if host == "github.com" else ""


def _image(homepage: str) -> str:
    """Return the name of the image that the release workflow publishes; "" where nobody does."""
    host, owner, _name = homepage.removeprefix("https://").split("/") if homepage else ("", "", "")
    return f"ghcr.io/{owner.lower()}/nesgw" if host == "github.com" else ""


FILES: Final[dict[str, Callable[[str, str], str]]] = {
    "pyproject.toml": _project,
    "debian/control": _control,
    ".github/ISSUE_TEMPLATE/config.yml": _chooser,
    "repository.yaml": _repository,
    "deploy/home-assistant-app/config.yaml": _app,
    "deploy/home-assistant-app/Dockerfile": _recipe,
    "deploy/home-assistant-app/DOCS.md": _pages,
    "deploy/container/compose.yaml": _compose,
    "scripts/install": _install,
}


if __name__ == "__main__":
    main()
