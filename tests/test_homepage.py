"""The address of the repository is set in one place, and while it is not set nothing names one."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from nesgw import HOMEPAGE
from scripts import homepage

ROOT = Path(__file__).parents[1]
ADDRESS = "https://forge.example/someone/nesgw"
FILES = [pytest.param(name, write, id=name) for name, write in homepage.FILES.items()]
Write = Callable[[str, str], str]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "write"), FILES)
class TestEveryFileThatRepeatsTheAddress:
    def test_says_what_the_package_says(self, name: str, write: Write) -> None:
        assert text_of(name) == write(text_of(name), HOMEPAGE), "run: .venv/bin/python -m scripts.homepage"

    def test_names_it_once_it_is_set(self, name: str, write: Write) -> None:
        assert ADDRESS in write(text_of(name), ADDRESS)

    def test_names_none_while_it_is_not_set(self, name: str, write: Write) -> None:
        unset = write(text_of(name), "")
        assert write(write(unset, ADDRESS), "") == unset
        assert "://" not in unset

    def test_names_only_the_last_one(self, name: str, write: Write) -> None:
        moved = write(write(text_of(name), ADDRESS), "https://other.example/team/nesgw")
        assert moved == write(text_of(name), "https://other.example/team/nesgw")
        assert ADDRESS not in moved


def test_the_python_package_links_to_repository_and_issues() -> None:
    project = tomllib.loads(homepage.FILES["pyproject.toml"](text_of("pyproject.toml"), ADDRESS))["project"]
    assert project["urls"] == {"Homepage": ADDRESS, "Repository": ADDRESS, "Issues": f"{ADDRESS}/issues"}
    assert project["scripts"] == {"nesgw": "nesgw.__main__:main"}


def test_the_debian_package_links_to_the_repository_in_the_paragraph_of_its_source() -> None:
    source, _binary = homepage.FILES["debian/control"](text_of("debian/control"), ADDRESS).split("\n\n", 1)
    assert f"\nHomepage: {ADDRESS}\nVcs-Browser: {ADDRESS}\nVcs-Git: {ADDRESS}.git\n" in source


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (ADDRESS, True),
        ("https://forge.example/someone/nesgw.git", False),
        ("https://forge.example/someone/nesgw/", False),
        ("https://forge.example/nesgw", False),
        ("http://forge.example/someone/nesgw", False),
        ("forge.example/someone/nesgw", False),
    ],
)
def test_an_address_names_host_owner_and_repository(text: str, good: bool) -> None:
    assert homepage.is_address(text) is good


def test_no_file_knows_an_address_of_its_own() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    for folder in (".github", "debian", "deploy", "docs", "hardware", "nesgw"):
        pages += [path for path in (ROOT / folder).rglob("*") if path.suffix not in (".stl", ".png", ".pyc")]
    repeats = [ROOT / name for name in homepage.FILES] + [ROOT / "nesgw/__init__.py"]
    for page in pages:
        if page.is_file() and page not in repeats:
            text = page.read_text(encoding="utf-8", errors="replace")
            assert "github.com/nesgw" not in text, page
            assert not HOMEPAGE or HOMEPAGE not in text, page
