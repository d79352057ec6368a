"""The socket by which the daemon reads for commands: what it takes, what it gives, and what nobody can do with it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from nesgw.errors import KeyRefused, NoAnswer, ReaderGone, Stopped, TableNotPresent
from nesgw.gateway.read_server import ReadServer, listen
from nesgw.meter.read_protocol import answer, parse_head, parse_request, parts_of, request
from nesgw.meter.remote_reader import RemoteReader, connect
from nesgw.tables.register import Part
from tests.broker_fixtures import eventually

BT23 = Part("BT23", 23, 0, 4)


@pytest.fixture
def folder() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


@contextmanager
def serving(folder: Any, reply: Any = lambda part: bytes(range(part.size))) -> Iterator[Any]:
    """A server with a worker that answers everything at once; yields the server and what was asked."""
    server, asked, wake = ReadServer(folder), [], threading.Event()
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            wake.wait(0.05)
            wake.clear()
            if (waiting := server.waiting) is not None:
                asked.append(waiting.part)
                result = reply(waiting.part)
                if result is None:
                    server.refuse(waiting)
                elif result != "later":
                    server.answer(waiting, result)

    worker = threading.Thread(target=work)
    server.start(wake.set)
    eventually(lambda: disconnects(folder), "the server to listen")
    worker.start()
    try:
        yield server, asked
    finally:
        ending.set()
        worker.join()
        server.stop()


def reader_of(folder: Any, **options: Any) -> Any:
    return closing(RemoteReader(connect(folder), **options))


def raw(folder: Any) -> Any:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(folder / "reader"))
    return client


def disconnects(folder: Any) -> bool:
    """Whether somebody listens, and has closed the connection of one who says nothing sensible."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "reader"))
            client.sendall(b"\n")
            return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except (FileNotFoundError, ConnectionRefusedError):
        return False


class TestTheProtocol:
    def test_a_request_is_a_line_and_an_answer_the_bytes(self) -> None:
        assert request(BT23) == b"GET 23 0 4\n"
        assert parse_request(b"GET 23 0 4\n") == BT23
        assert answer(b"\x01\x02") == b"OK 2\n\x01\x02"
        assert parse_head(b"OK 2\n") == 2

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"GET 23 0 4",
            b"GET 23 0 0\n",
            b"GET 23 0 257\n",
            b"GET 23 16777216 1\n",
            b"GET 23 -1 4\n",
            b"PUT 23 0 4\n",
            b"get 23 0 4\n",
            b"GET 23 0 4 \n",
            b"GET 7 0 4\n",  # procedures
            b"GET 42 0 20\n",  # passwords
            b"GET 45 0 20\n",  # keys
            b"GET 99999 0 4\n",
        ],
    )
    def test_anything_else_is_no_request(self, line: bytes) -> None:
        assert parse_request(line) is None

    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_request_or_none(self, line: Any) -> None:
        part = parse_request(line)
        assert part is None or request(part).split() == [word.lstrip(b"0") or b"0" for word in line.split()]

    @given(st.binary(max_size=200))
    def test_any_bytes_are_the_head_of_an_answer_or_none(self, line: Any) -> None:
        parse_head(line)
        parse_head(b"NO " + line)

    def test_an_error_comes_back_as_itself_with_its_facts_as_text(self) -> None:
        error = KeyRefused(service="Read 3", code="isc: the key is too weak for this table")
        again = parse_head(answer(error))
        assert type(again) is KeyRefused
        assert str(again) == str(error)

    @pytest.mark.parametrize(
        "line",
        [
            b'NO {"error":"ConfigError","facts":{"problems":["x"]}}\n',
            b'NO {"error":"NoAnswer","facts":{}}\n',
            b'NO {"error":"NesgwError","facts":{"problem":"x"}}\n',
            b"NO 7\n",
            b"NO " + b"[" * 2000 + b"\n",
        ],
    )
    def test_an_error_that_is_none_of_ours_is_no_answer(self, line: Any) -> None:
        assert parse_head(line) is None

    def test_what_an_error_says_steers_no_terminal(self) -> None:
        error = NoAnswer(port="\x1b[2J\n/dev/x", service="Identify", attempts=4)
        assert "\x1b" not in str(parse_head(answer(error)))
        assert "\n" not in str(parse_head(answer(error)))

    def test_a_long_part_is_asked_for_in_pieces(self) -> None:
        assert [(part.offset, part.size) for part in parts_of(Part("BT23", 23, 100, 600))] == [
            (100, 256),
            (356, 256),
            (612, 88),
        ]


class TestReading:
    def test_the_bytes_come_and_the_next_request_on_the_same_connection(self, folder: Any) -> None:
        with serving(folder) as (_, asked), reader_of(folder) as reader:
            assert reader.read(BT23) == b"\x00\x01\x02\x03"
            assert reader.read(Part("ET11", 2059, 3, 2)) == b"\x00\x01"
        assert asked == [BT23, Part("ET11", 2059, 3, 2)]

    def test_an_error_of_the_meter_is_raised_and_the_connection_goes_on(self, folder: Any) -> None:
        with serving(folder, lambda _: TableNotPresent(table="BT23")), reader_of(folder) as reader:
            for _ in range(2):
                with pytest.raises(TableNotPresent, match="the meter has no table BT23"):
                    reader.read(BT23)

    def test_what_the_worker_remembers_is_answered_without_it(self, folder: Any) -> None:
        with serving(folder, lambda _: "later") as (server, asked):
            server.known = {BT23: b"\x09\x08\x07\x06"}
            with reader_of(folder) as reader:
                assert reader.read(BT23) == b"\x09\x08\x07\x06"
        assert asked == []

    def test_whoever_waits_can_end_the_wait(self, folder: Any) -> None:
        with (
            serving(folder, lambda _: "later"),
            reader_of(folder, stop=lambda: True) as reader,
            pytest.raises(Stopped),
        ):
            reader.read(BT23)

    def test_one_client_is_served_at_a_time_and_the_next_when_it_has_gone(self, folder: Any) -> None:
        with serving(folder) as (_, asked):
            with reader_of(folder) as first:
                first.read(BT23)
                second = RemoteReader(connect(folder))
                waiting = threading.Thread(target=second.read, args=(BT23,))
                waiting.start()
                time.sleep(0.2)
                assert len(asked) == 1
            waiting.join(5)
            second.close()
            assert len(asked) == 2

    def test_a_third_client_is_told_to_wait(self, folder: Any) -> None:
        with serving(folder), reader_of(folder) as first:
            first.read(BT23)
            with connect(folder), pytest.raises(BlockingIOError):
                connect(folder)

    def test_a_daemon_that_ends_ends_the_read(self, folder: Any) -> None:
        with serving(folder, lambda _: "later") as (server, _), reader_of(folder) as reader:
            ended = []

            def read() -> None:
                with suppress(ReaderGone):
                    reader.read(BT23)
                    return
                ended.append("gone")

            thread = threading.Thread(target=read)
            thread.start()
            eventually(lambda: server.waiting is not None, "the request")
            server.stop()
            thread.join(5)
            assert ended == ["gone"]
        assert not (folder / "reader").exists()


class TestAClient:
    def test_that_is_killed_leaves_nothing(self, folder: Any) -> None:
        code = (
            "import sys; from pathlib import Path; from nesgw.meter.remote_reader import *\n"
            "RemoteReader(connect(Path(sys.argv[1]))).read(Part('BT23', 23, 0, 4))"
        )
        with serving(folder, lambda _: "later") as (server, _):
            with subprocess.Popen([sys.executable, "-c", code, str(folder)]) as process:
                eventually(lambda: server.waiting is not None, "the request")
                process.kill()
            eventually(lambda: server.waiting is None, "the request to be withdrawn")
            assert [path.name for path in folder.iterdir()] == ["reader"]

    @pytest.mark.parametrize(
        "garbage", [b"\n", b"x" * 1000, b"GET 7 0 1\n", b"\x00\xff\n", b"GET 23 0 4\nGET 23 0 4\n"]
    )
    def test_that_says_anything_else_is_disconnected_and_the_next_is_served(self, folder: Any, garbage: Any) -> None:
        with serving(folder):
            with raw(folder) as client:
                client.sendall(garbage)
                with suppress(ConnectionError):
                    while client.recv(100):
                        pass
            with reader_of(folder) as reader:
                assert reader.read(BT23) == b"\x00\x01\x02\x03"

    def test_that_asks_for_what_may_be_a_key_is_disconnected(self, folder: Any) -> None:
        with serving(folder, lambda _: None), reader_of(folder) as reader, pytest.raises(ReaderGone):
            reader.read(Part("ET13", 2061, 30, 10))


class TestTheSocket:
    def test_only_its_owner_and_its_group_may_use_it(self, folder: Any) -> None:
        with serving(folder):
            mode = (folder / "reader").stat().st_mode
            assert (stat.S_IMODE(mode), stat.S_ISSOCK(mode)) == (0o660, True)

    def test_one_that_a_killed_daemon_left_is_replaced(self, folder: Any) -> None:
        listen(folder).close()
        assert (folder / "reader").exists()
        assert connect(folder) is None
        with serving(folder), reader_of(folder) as reader:
            assert reader.read(BT23)

    def test_one_of_a_daemon_that_lives_is_left_alone(self, folder: Any) -> None:
        with listen(folder), pytest.raises(OSError, match="another nesgw serves this meter"):
            listen(folder)

    def test_where_none_is_nobody_answers(self, folder: Any) -> None:
        assert connect(folder) is None
        assert connect(folder / "none") is None

    @pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "file"])
    def test_whatever_else_has_its_name_is_replaced_and_never_followed(
        self, folder: Any, tmp_path: Path, kind: str
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_text("mine")
        place = folder / "reader"
        made: dict[str, Callable[[], object]] = {
            "link": lambda: place.symlink_to(victim),
            "dangling": lambda: place.symlink_to(tmp_path / "none"),
            "fifo": lambda: os.mkfifo(place),
            "file": lambda: place.write_text("x"),
        }
        made[kind]()
        assert connect(folder) is None
        with listen(folder):
            assert stat.S_ISSOCK(place.lstat().st_mode)
        assert victim.read_text() == "mine"
        assert not (tmp_path / "none").exists()

    def test_a_folder_that_is_a_link_is_not_followed(self, folder: Any, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            listen(tmp_path / "link")
        with listen(folder), pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            connect(tmp_path / "link")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_a_folder_of_another_user_is_not_used(self, folder: Any) -> None:
        os.chown(folder, 12345, 12345)
        with pytest.raises(OSError, match="belongs to another user"):
            listen(folder)

    def test_one_that_was_swept_away_is_made_again(self, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nesgw.gateway.read_server._LOOK", 0.05)
        with serving(folder):
            (folder / "reader").unlink()
            eventually(lambda: (folder / "reader").exists(), "the socket")
            with reader_of(folder) as reader:
                assert reader.read(BT23)

    def test_a_folder_that_is_not_there_is_said_once_and_used_when_it_is(
        self, folder: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("nesgw.gateway.read_server._LOOK", 0.05)
        with structlog.testing.capture_logs() as lines:
            server = ReadServer(folder / "house")
            server.start(lambda: None)
            eventually(lambda: lines, "the warning")
            time.sleep(0.2)
            assert len(lines) == 1
            (folder / "house").mkdir()
            eventually(lambda: (folder / "house/reader").exists(), "the socket")
            server.stop()
