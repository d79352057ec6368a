"""What may be at the other end of a connection to the broker: any bytes, cut off anywhere."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from nesgw.config.settings import MqttSettings
from nesgw.errors import BrokerUnavailable
from nesgw.publishers.message import Message, Part
from nesgw.publishers.mqtt.connection import Connection

WELCOME = bytes.fromhex("20 02 00 00")
_TURNS = 30
_SAID = Message("nesgw/42/state", "{}", Part.STATE, qos=2)


class Stranger:
    """Says the same bytes to everybody who connects, then nothing more."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.settings = MqttSettings("127.0.0.1", self._door.getsockname()[1])
        self.says = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                guest, _ = self._door.accept()
                with guest, suppress(OSError):
                    guest.sendall(self.says)
                    guest.shutdown(socket.SHUT_WR)
                    while guest.recv(4096):
                        pass

    def close(self) -> None:
        """Let nobody in any more."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


def converse(stranger: Stranger, said: bytes) -> BrokerUnavailable | None:
    """Connect, subscribe, publish and listen; the answer is the sentence that ended it. All else is a finding."""
    stranger.says = said
    connection = Connection(stranger.settings, "nesgw-fuzz")
    try:
        connection.open()
        connection.subscribe(["nesgw/+/state"])
        connection.publish(_SAID)
        for _ in range(_TURNS):
            connection.turn(0.02)
            for arrival in connection.arrivals():
                arrival.topic.encode()
            connection.acknowledged()
            connection.refused()
    except BrokerUnavailable as error:
        str(error).encode()
        return error
    finally:
        connection.leave()
        connection.close()
    return None
