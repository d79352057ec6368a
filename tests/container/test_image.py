"""The image, built for real and run as Docker would run it: once as an app, once as a container with no rights at all.

Needs root, buildah and debootstrap, and is skipped without; scripts/build-images says more. Takes a minute or two when
the base or the package has to be made first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nesgw import __version__
from nesgw.simulator import DEFAULT_KEY, PtyLine, SimulatedMeter
from tests.broker_fixtures import Broker, Listener, eventually
from tests.container.supervisor import TOKEN, FakeSupervisor, mqtt_service

ROOT = Path(__file__).parents[2]
KEY = DEFAULT_KEY.decode()
USER = 999  # the service's number in the image
STORAGE = Path(os.environ.get("NESGW_CACHE", "/var/cache/nesgw-packaging"), "images")
MISSING = [tool for tool in ("buildah", "debootstrap", "unshare", "dpkg-deb") if not shutil.which(tool)]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' '.join(MISSING)}"),
]

# What Docker does: a root that cannot be written to, devices, a RAM disk in dev/shm and in tmp, and the bound folders.
ENTER = """
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
while [ "$1" != -- ]; do case $1 in
  bind) mount --bind "$2" "$root$3"; shift 3 ;;
  tmpfs) mount -t tmpfs -o "$2" tmpfs "$root$3"; shift 3 ;;
esac; done; shift
mount --rbind /dev "$root/dev"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -o remount,ro,bind "$root"
exec env -i "${@:2:$1}" chroot "$root" "${@:$(($1 + 2))}"
"""


def buildah(*arguments: str) -> str:
    command = ["buildah", "--root", str(STORAGE), "--runroot", "/run/nesgw-images", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Image:
    root: Path
    config: dict[str, Any]

    @property
    def environment(self) -> list[str]:
        given: list[str] = self.config["Env"]
        return (
            given if any(each.startswith("PATH=") for each in given) else ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", *given]
        )

    def start(
        self, log: Path, *arguments: str, mounts: list[str], env: list[str], prefix: list[str]
    ) -> subprocess.Popen[bytes]:
        """Run the image's entry point in namespaces of its own."""
        env = [*self.environment, *env]
        entry = [*prefix, *self.config["Entrypoint"], *arguments]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", ENTER, "enter"]
        command += [str(self.root), *mounts, "--", str(len(env)), *env, *entry]
        with log.open("ab") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    subprocess.run([ROOT / "scripts/build-images"], check=True)
    name = f"localhost/nesgw:{__version__}"
    config = json.loads(buildah("inspect", "--type", "image", name))["Docker"]["config"]
    container = buildah("from", "--pull-never", name)
    yield Image(Path(buildah("mount", container)), config)
    buildah("rm", container)


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def inner(process: subprocess.Popen[bytes]) -> int:
    """The process in the namespace, which unshare keeps signals from."""
    children = eventually(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text, "a process inside")
    return int(children.split()[0])


def health(image: Image, process: subprocess.Popen[bytes]) -> int:
    """What Docker would find with the image's health check."""
    check = image.config["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    enter = ["nsenter", f"--target={inner(process)}", "--mount", "env", "-i", *image.environment]
    return subprocess.run([*enter, "chroot", str(image.root), *check[1:]], check=False).returncode


def ended(process: subprocess.Popen[bytes]) -> int:
    os.kill(inner(process), signal.SIGTERM)
    return process.wait(20)


def wait_for_a_reading(listener: Listener, log: Path) -> dict[str, Any]:
    found = eventually(
        lambda: [h for h in listener.heard if h.topic.endswith("/state")],
        f"a reading; the log says: {log.read_text() if log.exists() else ''}",
        60.0,
    )
    state: dict[str, Any] = json.loads(found[0].payload)
    return state


def test_as_an_app_it_takes_form_and_login_from_the_supervisor(
    image: Image, password_broker: Broker, memory_folder: Path
) -> None:
    log = memory_folder / "log"
    data = memory_folder / "data"
    data.mkdir()
    listener = Listener(password_broker.port, username="meter", password="correct horse")
    with (
        FakeSupervisor(mqtt_service(password_broker.port, "meter", "correct horse")) as supervisor,
        PtyLine(SimulatedMeter("83331-3i"), baud=None) as line,
    ):
        meter = {"name": "house", "label": "House", "key": KEY, "port": line.path}
        (data / "options.json").write_text(json.dumps({"meters": [meter], "mqtt": {}}))
        app = image.start(
            log,
            mounts=["bind", str(data), "/data"],
            env=[f"SUPERVISOR_TOKEN={TOKEN}", f"NESGW_SUPERVISOR={supervisor.address}", "TZ=Europe/Copenhagen"],
            prefix=[],
        )
        try:
            assert wait_for_a_reading(listener, log)["energy_import"] > 0
            listener.wait_for("nesgw/gateway/homeassistant/availability", "online")
            eventually(lambda: health(image, app) == 0, "the health check is content")
            assert ended(app) == 0
        finally:
            app.kill()
            app.wait()
            listener.close()
    text = log.read_text()
    for secret in (KEY, "correct horse", TOKEN):
        assert secret not in text


def test_as_a_container_it_needs_no_right_and_no_place_to_write_but_memory(
    image: Image, broker: Broker, memory_folder: Path
) -> None:
    log = memory_folder / "log"
    settings = memory_folder / "nesgw"
    settings.mkdir()
    listener = Listener(broker.port)
    with PtyLine(SimulatedMeter("83331-3i"), baud=None) as line:
        Path(line.path).chmod(0o666)  # in place of the group of a serial port
        (settings / "house.key").write_text(KEY)
        (settings / "config.toml").write_text(
            f'[[meter]]\nname = "house"\nport = "{line.path}"\nkey_file = "/etc/nesgw/house.key"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        for path in (settings, settings / "house.key", settings / "config.toml"):
            os.chown(path, USER, USER)
        (settings / "house.key").chmod(0o600)
        container = image.start(
            log,
            mounts=[
                *("bind", str(settings), "/etc/nesgw"),
                *("tmpfs", f"size=4m,mode=0755,uid={USER},gid={USER}", "/run/nesgw"),
            ],
            env=[],
            prefix=[
                *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
                *("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"),
            ],
        )
        try:
            assert wait_for_a_reading(listener, log)["energy_import"] > 0
            eventually(lambda: health(image, container) == 0, "the health check is content")
            status = Path(f"/proc/{inner(container)}/status").read_text()
            assert f"Uid:\t{USER}\t{USER}" in status
            assert "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000" in status
            assert ended(container) == 0
        finally:
            container.kill()
            container.wait()
            listener.close()


def test_a_container_runs_any_command_of_nesgw(image: Image, memory_folder: Path) -> None:
    log = memory_folder / "log"
    assert image.start(log, "--version", mounts=[], env=[], prefix=[]).wait(20) == 0
    assert log.read_text() == f"nesgw {__version__}\n"


def test_the_image_knows_its_version_and_what_it_is(image: Image) -> None:
    labels = image.config["Labels"]
    assert (labels["io.hass.type"], labels["io.hass.version"]) == ("app", __version__)


def test_the_package_in_the_image_is_the_one_that_was_tested(image: Image) -> None:
    package = ROOT / f"dist/nesgw_{__version__}_all.deb"
    listed = subprocess.run(["dpkg-deb", "--ctrl-tarfile", package], check=True, capture_output=True).stdout
    sums = subprocess.run(["tar", "-xOf", "-", "./md5sums"], input=listed, check=True, capture_output=True).stdout
    assert (image.root / "var/lib/dpkg/info/nesgw.md5sums").read_bytes() == sums


def test_nothing_of_the_build_is_left_in_the_image(image: Image) -> None:
    assert list((image.root / "var/lib/apt/lists").glob("*_Packages")) == []
    assert list(image.root.glob("var/cache/apt/archives/*.deb")) == []
    assert list(image.root.glob("tmp/*")) == []
    assert list(image.root.rglob("nesgw_container/__pycache__")) == []
