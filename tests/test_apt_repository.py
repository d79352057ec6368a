"""The apt repository made of packages: apt itself takes it with its key, and refuses it after any change."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MISSING = [
    tool for tool in ("apt-ftparchive", "apt-get", "dpkg-deb", "dpkg-scanpackages", "gpg") if not shutil.which(tool)
]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' '.join(MISSING)}")


def package(folder: Path, version: str, architecture: str) -> Path:
    """A package with nothing in it but its name."""
    tree = folder / f"tree-{version}-{architecture}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: nesgw\nVersion: {version}\nArchitecture: {architecture}\n"
        "Maintainer: nobody <nobody@nesgw.invalid>\nDescription: for a test\n"
    )
    path = folder / f"nesgw_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, path], check=True, capture_output=True)
    return path


@dataclass(frozen=True)
class Repository:
    pages: Path
    work: Path

    def apt(self, suite: str, architecture: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run apt as a machine would that knows this repository alone."""
        root = self.work / f"{suite}-{architecture}"
        for folder in ("lists/partial", "cache/archives/partial", "etc"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        (root / "etc/nesgw.sources").write_text(
            f"Types: deb\nURIs: file:{self.pages}\nSuites: {suite}\nComponents: main\n"
            f"Signed-By: {self.pages}/nesgw.asc\n"
        )
        settings = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "root",
            "Dir::Etc::SourceParts": root / "etc",
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::State": root,
            "Dir::State::Status": root / "status",
            "Dir::Cache": root / "cache",
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        return subprocess.run([*arguments[:1], *options, *arguments[1:]], capture_output=True, text=True, check=False)

    def update(self, suite: str, architecture: str) -> subprocess.CompletedProcess[str]:
        return self.apt(suite, architecture, "apt-get", "update", "--error-on=any")

    def candidate(self, suite: str, architecture: str) -> str:
        assert self.update(suite, architecture).returncode == 0
        answer = self.apt(suite, architecture, "apt-cache", "show", "nesgw").stdout
        return next(line.removeprefix("Filename: ") for line in answer.splitlines() if line.startswith("Filename: "))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    work = tmp_path_factory.mktemp("repository")
    # A short path: gpg's agent listens on a socket in it.
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"GNUPGHOME": home}
        throw_away = ["--quick-generate-key", "for a test <nobody@nesgw.invalid>", "ed25519", "sign", "never"]
        subprocess.run(["gpg", "--batch", "--passphrase", "", *throw_away], env=environment, check=True)
        packages = [package(work, "1.0.0", "all")]
        packages += [package(work, "1.0.0~bookworm", architecture) for architecture in ("amd64", "arm64", "armhf")]
        make = [str(ROOT / "scripts/apt-repository"), str(work / "pages"), "https://pages.example/nesgw"]
        subprocess.run([*make, *map(str, packages)], env=environment, check=True)
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)
        yield Repository(work / "pages", work)


@pytest.mark.parametrize("architecture", ["amd64", "arm64", "armhf"])
def test_each_system_is_offered_the_package_that_is_made_for_it(repository: Repository, architecture: str) -> None:
    assert repository.candidate("trixie", architecture) == "pool/trixie/nesgw_1.0.0_all.deb"
    assert repository.candidate("bookworm", architecture) == f"pool/bookworm/nesgw_1.0.0~bookworm_{architecture}.deb"


def test_the_page_says_how_to_add_it(repository: Repository) -> None:
    page = (repository.pages / "index.html").read_text()
    assert "https://pages.example/nesgw/nesgw.asc" in page
    assert "URIs: https://pages.example/nesgw\n" in page


def test_only_the_public_half_of_the_key_is_published(repository: Repository) -> None:
    published = b"".join(path.read_bytes() for path in repository.pages.rglob("*") if path.is_file())
    assert b"BEGIN PGP PUBLIC KEY BLOCK" in published
    assert b"PRIVATE KEY" not in published


def test_a_list_that_was_changed_afterwards_is_refused(repository: Repository, tmp_path: Path) -> None:
    changed = Repository(tmp_path / "pages", tmp_path)
    shutil.copytree(repository.pages, changed.pages)
    lists = changed.pages / "dists/trixie/main/binary-amd64"
    for path in [*lists.glob("Packages*"), *lists.glob("by-hash/SHA256/*")]:
        path.write_bytes(path.read_bytes() + b"\n")
    assert changed.update("trixie", "amd64").returncode != 0


def test_a_signature_of_another_release_is_refused(repository: Repository, tmp_path: Path) -> None:
    changed = Repository(tmp_path / "pages", tmp_path)
    shutil.copytree(repository.pages, changed.pages)
    release = changed.pages / "dists/trixie/InRelease"
    release.write_text(release.read_text().replace("Label: nesgw", "Label: other"))
    (changed.pages / "dists/trixie/Release").unlink()
    answer = changed.update("trixie", "amd64")
    assert answer.returncode != 0
    assert "not signed" in answer.stderr or "invalid" in answer.stderr
