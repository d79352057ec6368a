"""Sets structlog up: lines with a priority for the journal, colours on a terminal, JSON for collectors.

Everything goes to stderr, and the log is never worth a reading: a reader that is gone, or does not read, and a disk
that is full cost lines and nothing else. What others wrote reaches no line unescaped. Known secrets are cut out of
every line here, at the last moment, whatever code made it; the code that handles secrets does not log them in the
first place.
"""

from __future__ import annotations

import logging
import os
import select
import sys
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from nesgw.values import printable

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "journal", "json", "console"]

MASK: Final = "********"
# sd-daemon(3): the journal takes "<N>" at the start of a line as its priority.
_PRIORITY: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}

_secrets: set[str] = set()


def keep_secret(value: bytes | str) -> None:
    """Register a key or a password: no log line will hold it, in any of the forms a line could show it."""
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) < 4:  # masking "a" would destroy every line and hide nothing
        return
    text = raw.decode("utf-8", "replace")
    _secrets.update({text, repr(raw)[2:-1], raw.hex(), raw.hex(" "), " ".join(str(code) for code in raw)})


def redact(text: str) -> str:
    """Replace every registered secret in a text."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _redact_value(value) for key, value in event.items()}


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, (int, float, type(None))):
        return value
    return redact(str(value))


# Longer than any sentence of ours; a traceback has lines of its own.
_LONGEST: Final = 2000


def _escape_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make each text harmless: what a broker, a meter or a file says may be meant for our terminal."""
    return {key: _escape(value) if isinstance(value, str) else value for key, value in event.items()}


def _escape(text: str) -> str:
    return "\n".join(printable(line, _LONGEST) for line in text.split("\n"))


def _journal_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One line: priority, meter, sentence, facts. The journal adds the time."""
    level = event.pop("level", "info")
    meter = event.pop("meter", None)
    sentence = str(event.pop("event", ""))
    facts = " ".join(f"{key}={value}" for key, value in event.items())
    line = (f"{meter}: " if meter else "") + sentence + (f" [{facts}]" if facts else "")
    return f"<{_PRIORITY.get(level, 6)}>" + line.replace("\n", " | ")


# A pipe or terminal that poll(2) calls writable takes so much without waiting (PIPE_BUF).
_PIECE: Final = 4096
_PATIENCE: Final = 200.0  # milliseconds for a reader that is slow; none for one that is stuck


class LogStream:
    """Writes lines to a stream without ever raising, or waiting for long: what it does not take is lost, and said."""

    def __init__(self, stream: TextIO, form: Format = "console") -> None:
        self._stream = stream
        self._form = form
        self._lost = 0
        self._in_the_middle = False  # of a line

    def write(self, text: str) -> None:
        """Write some lines, if they can be written."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):  # closed, or no file
            self._write_to_no_file(text)
            return
        if self._whole(descriptor, ("\n" if self._in_the_middle else "") + self._note() + text):
            self._lost, self._in_the_middle = 0, False
        else:
            self._lost += 1

    def flush(self) -> None:
        """Nothing is kept back."""

    def _note(self) -> str:
        if not self._lost:
            return ""
        sentence = f"{self._lost} lines of this log are lost: nobody took them"
        match self._form:
            case "journal":
                return f"<{_PRIORITY['warning']}>{sentence}\n"
            case "json":
                return f'{{"event": "{sentence}", "level": "warning"}}\n'
            case _:
                return f"{sentence}\n"

    def _whole(self, descriptor: int, text: str) -> bool:
        data = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        try:
            while data:
                if not any(event & select.POLLOUT for _, event in poll.poll(0 if self._lost else _PATIENCE)):
                    return False
                written = os.write(descriptor, data[:_PIECE])
                data = data[written:]
                self._in_the_middle = bool(data)
        except OSError:
            return False
        return True

    def _write_to_no_file(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._lost += 1


def under_systemd() -> bool:
    """Whether stderr is the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        device, inode = os.environ["JOURNAL_STREAM"].split(":")
        stat = os.fstat(sys.stderr.fileno())
    except (KeyError, ValueError, OSError):
        return False
    return (stat.st_dev, stat.st_ino) == (int(device), int(inode))


def set_up(level: Level = "info", form: Format = "auto") -> None:
    """Configure structlog for the process; may be called again when the configuration changes."""
    if form == "auto":
        form = "journal" if under_systemd() else "console"
    processors: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    if form != "journal":
        processors.append(structlog.processors.TimeStamper(fmt="iso", utc=form == "json"))
    processors += [structlog.processors.format_exc_info, _redact_event, _escape_event]
    match form:
        case "journal":
            processors.append(_journal_line)
        case "json":
            processors.append(structlog.processors.JSONRenderer(ensure_ascii=False))
        case _:
            processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=LogStream(sys.stderr, form)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
