"""Names of ports: what is accepted pyserial's own handlers accept, and what is not is explained in our words."""

from __future__ import annotations

import re

import pytest
import serial
from hypothesis import example, given
from hypothesis import strategies as st

from nesgw.ports.urls import check_port

ACCEPTED = [
    "auto",
    "/dev/ttyUSB0",
    "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0",
    "socket://192.168.1.5:4000",
    "socket://box.lan:4000",
    "socket://box.lan:4000/",
    "SOCKET://box.lan:4000",
    "socket://[fe80::1]:4000",
    "socket://box.lan:4000?logging=debug",
    "rfc2217://box.lan:4000",
    "rfc2217://box.lan:4000?ign_set_control&timeout=3",
    "rfc2217://box.lan:4000?poll_modem",
    "loop://",
    "loop://?logging=debug",
    "hwgrep://0403:6001",
    "hwgrep://FTDI&n=2&skip_busy",
    "alt:///dev/ttyUSB0?class=PosixPollSerial",
]


SPY = 'spy:// writes all that is sent, the key too, into the log; name the device alone, like "/dev/ttyUSB0"'


@pytest.mark.parametrize("port", ACCEPTED)
def test_paths_and_the_urls_of_pyserial_are_ports(port: str) -> None:
    assert check_port(port) == port


@pytest.mark.parametrize(
    ("port", "advice"),
    [
        ("", 'must name the port, or be "auto"'),
        ("Auto", '"auto" is written in small letters'),
        ("ttyUSB0", 'write the whole path: "/dev/ttyUSB0"'),
        ("COM3", 'that is a name of Windows; here a port is a path, like "/dev/ttyUSB0"'),
        ("dev/ttyUSB0", 'must be "auto", a path that begins with a slash, or a URL like "socket://HOST:PORT"'),
        ("~/meter", 'must be "auto", a path that begins with a slash, or a URL like "socket://HOST:PORT"'),
        (
            "192.168.1.5:4000",
            'a port in the network is a URL: "socket://192.168.1.5:4000" (raw TCP) or "rfc2217://192.168.1.5:4000"',
        ),
        ("socket:/box:4000", 'two slashes stand behind the colon: "socket://…"'),
        ("rfc2217:box:4000", 'two slashes stand behind the colon: "rfc2217://…"'),
        ("tcp://box:4000", "write socket:// in place of tcp://"),
        ("telnet://box:4000", "write rfc2217:// in place of telnet://"),
        ("file:///dev/ttyUSB0", 'a device is named by its path alone, like "/dev/ttyUSB0"'),
        ("serial:///dev/ttyUSB0", 'a device is named by its path alone, like "/dev/ttyUSB0"'),
        ("cp2110:///dev/hidraw9", "nesgw does not drive a CP2110, which is no serial adapter for this system"),
        (
            "http://box",
            "http:// is no way to a serial port; in the network there are socket://HOST:PORT (raw TCP) and "
            "rfc2217://HOST:PORT",
        ),
        ("socket://box", "the port is missing; write socket://box:PORT"),
        ("socket://box:", "the port is missing; write socket://box:PORT"),
        ("rfc2217://[::1]", "the port is missing; write rfc2217://[::1]:PORT"),
        ("socket://:4000", "the host is missing; write socket://HOST:PORT"),
        ("socket://", "the host is missing; write socket://HOST:PORT"),
        ("rfc2217:///dev/ttyUSB0", "the host is missing; write rfc2217://HOST:PORT"),
        ("socket://box:4000a", "the port must be a number from 1 to 65535"),
        ("socket://box:PORT", "the port must be a number from 1 to 65535"),
        ("socket://box:0", "the port must be a number from 1 to 65535"),
        ("socket://box:65536", "the port must be a number from 1 to 65535"),
        ("socket://::1:4000", "an IPv6 address stands in brackets: socket://[ADDRESS]:PORT"),
        ("socket://[::1:4000", "the brackets around an IPv6 address do not match; write socket://[ADDRESS]:PORT"),
        ("socket://me@box:4000", "no user is asked for; write socket://HOST:PORT"),
        ("socket://box:4000/path", "nothing stands behind the port but options; write socket://box:4000"),
        ("socket://box:4000#1", "a '#' has no meaning in the URL of a port"),
        ("socket://box :4000", "a URL has no blanks"),
        ("socket://box:4000?baud=9600", "unknown option 'baud' in the URL; socket:// knows logging"),
        (
            "socket://box:4000?logging=loud",
            "the option 'logging' in the URL takes one of debug, info, warning, error",
        ),
        ("rfc2217://box:4000?timeout=soon", "the option 'timeout' in the URL takes a number of seconds"),
        ("rfc2217://box:4000?timeout=nan", "the option 'timeout' in the URL takes a number of seconds"),
        ("rfc2217://box:4000?poll_modem=1", "the option 'poll_modem' in the URL takes no value"),
        (
            "rfc2217://box:4000?ignore",
            "unknown option 'ignore' in the URL; rfc2217:// knows logging, ign_set_control, poll_modem, timeout",
        ),
        ("loop://box:4000", "loop:// is a port that hears itself, and has no name; write it alone"),
        (
            "spy:///dev/ttyUSB0",
            'spy:// writes all that is sent, the key too, into the log; name the device alone, like "/dev/ttyUSB0"',
        ),
        (
            "spy:///dev/ttyUSB0?file=/tmp/log",
            'spy:// writes all that is sent, the key too, into the log; name the device alone, like "/dev/ttyUSB0"',
        ),
        ("socket://host..name:4000", "the host is no name and no address"),
        (
            "socket://xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:4000",
            "the host is no name and no address",
        ),
        ("socket://a\0b:4000", "a URL has no blanks"),
        ("/dev/ttyUSB0 ", "take out the blank in front of the path or behind it"),
        ("/dev/tty\0", "take out the blank in front of the path or behind it"),
        (
            "alt:///dev/ttyUSB0?class=Popen",
            "the option 'class' in the URL takes one of Serial, PosixPollSerial, VTIMESerial",
        ),
        ("hwgrep://", 'a part of the name of the adapter follows: "hwgrep://0403:6001"'),
        ("hwgrep://(", "the pattern behind hwgrep:// is no regular expression: missing ), unterminated subpattern"),
        ("hwgrep://FTDI&first", "unknown option 'first' in the URL; hwgrep:// knows n, skip_busy"),
        ("hwgrep://FTDI&n=1", "the option 'n' in the URL takes a number from 2 on; the first port is found without it"),
    ],
)
def test_what_is_no_port_is_refused_with_what_would_be_right(port: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(advice)}$"):
        check_port(port)


SCHEMES = st.sampled_from(["socket", "rfc2217", "loop", "alt", "hwgrep", "tcp", "Socket", ""])
REST = st.text("/:?&=[]@#ab19.\\( %", max_size=16) | st.sampled_from(
    [
        "box:4000",
        "[::1]:4000",
        "/dev/ttyS0",
        "?logging=debug",
        "box:4000?timeout=3",
        "FTDI&n=2",
        "/dev/ttyS0?class=Serial",
    ]
)


def opened_by_pyserial(url: str) -> bool:
    """Whether pyserial understands a URL: what it says of one whose place is not there is no objection to the URL."""
    try:
        device = serial.serial_for_url(url, do_not_open=True)
        if hasattr(device, "from_url") and not url.lower().startswith("hwgrep"):
            device.from_url(url)
    except Exception:  # its handlers have no common root of errors
        return False
    return True


@given(SCHEMES, REST, REST)
@example("rfc2217", "", "box:4000?timeout=1e3")
@example("socket", "box:4000", "?logging=")
def test_whatever_is_accepted_pyserial_understands(scheme: str, one: str, other: str) -> None:
    url = f"{scheme}://{one}{other}"
    try:
        check_port(url)
    except ValueError:
        return
    assert scheme == "hwgrep" or opened_by_pyserial(url)
