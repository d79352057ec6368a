"""The web service as the daemon holds it: opens what is to be listened on, and says what could not be opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

import structlog

from nesgw.config.settings import Address, HttpSettings
from nesgw.web.emulations.rate import Rate
from nesgw.web.emulations.shelly import datagram_answer
from nesgw.web.guard import is_neighbour
from nesgw.web.request import Refused
from nesgw.web.server import DatagramHandler, Limits, Server
from nesgw.web.site import Emulations, Site
from nesgw.web.snapshot import ProfileSource, Snapshot

BACKLOG: Final = 128
SHELLY_PORTS: Final = (1010, 2220)
PRIVILEGED: Final = 1024  # ports of services, such as DNS, that a forged sender would have us answer


class WebService:
    """Serves until stopped. ``sockets`` are those that systemd has opened: they are used beside ``listen``.

    Whatever cannot be opened is logged with what to do, and the rest is served: the meters are read in any case.
    """

    def __init__(
        self,
        settings: HttpSettings,
        snapshot: Snapshot,
        *,
        profile: ProfileSource | None = None,
        sockets: Iterable[socket.socket] = (),
        limits: Limits | None = None,
    ) -> None:
        self._log = structlog.get_logger()
        self._settings = settings
        self._rate = Rate()
        emulations = Emulations(settings.ecotracker, settings.shelly, settings.tasmota, settings.dabbler)
        token = settings.token.reveal_text() if settings.token else ""
        self.site = Site(
            snapshot, emulations=emulations, token=token, own_names=(socket.gethostname(),), profile=profile
        )
        given = list(sockets)
        listeners = [each for each in given if each.type == socket.SOCK_STREAM]
        listeners += [opened for address in settings.listen if (opened := self._listen(address)) is not None]
        datagrams = [each for each in given if each.type == socket.SOCK_DGRAM]
        if settings.shelly:
            taken = {each.getsockname()[1] for each in datagrams}
            ports = [port for port in SHELLY_PORTS if port not in taken]
            datagrams += [opened for port in ports if (opened := self._bind(port)) is not None]
        handler: DatagramHandler = self._datagram
        self.addresses = tuple(each.getsockname()[:2] for each in listeners)
        self._server = Server(
            listeners,
            self.site.answer,
            datagrams=[(each, handler) for each in datagrams],
            beat=self.site.beat,
            limits=limits,
        )

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()
        if self.addresses:
            where = " ".join(f"http://{_url_host(host)}:{port}/" for host, port in self.addresses)
            self._log.info(f"the page is at {where}")

    def wake(self) -> None:
        """Tell those who listen that there is something new. May be called by any thread; never waits."""
        self._server.wake()

    def stop(self) -> None:
        """End every connection."""
        self._server.stop()

    def _listen(self, address: Address) -> socket.socket | None:
        host, port = address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server(
                address,
                family=family,
                backlog=BACKLOG,
                dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
            )
        except OSError as error:
            self._log.error(f"http.listen: {_url_host(host)}:{port} cannot be listened on: {_reason(error)}")
            return None

    def _bind(self, port: int) -> socket.socket | None:
        """A socket for datagrams; on all addresses, for one that is bound to its own gets no broadcast."""
        host = "0.0.0.0" if any(not ip_address(each).is_loopback for each, _ in self._settings.listen) else "127.0.0.1"  # noqa: S104
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.bind((host, port))
        except OSError as error:
            opened.close()
            self._log.error(f"http.shelly: UDP port {port} cannot be listened on: {_reason(error)}")
            return None
        return opened

    def _datagram(self, data: bytes, sender: str, port: int, now: float) -> bytes | None:
        if port < PRIVILEGED or not is_neighbour(sender) or not self._rate.allows(sender, now):
            return None
        with suppress(Refused):
            return datagram_answer(self.site.shelly(), data)
        return None


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "a port below 1024 is opened by systemd: systemctl enable --now nesgw-http.socket"
    return os.strerror(error.errno) if error.errno else str(error)


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
