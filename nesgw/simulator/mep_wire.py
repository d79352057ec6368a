"""Bytes of the MEP port as the meter sees them: the digest, the encryption, and frames in the byte stream.

Written from the guide (MEP Client Developer's Guide 1.1, pages 8 to 12 and 250 to 257) by its indices and its wording;
knows no table and shares nothing with the reader's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

DIGEST: Final = 8
MOST: Final = 476  # bytes behind the length field
ENCRYPTION_BASE: Final = bytes.fromhex("38 8B 8F BC 36 A8 55 85 87 AF C9 0F B2 3A 3B 99")


def digest(key: bytes, message: bytes) -> bytes:
    """The digest of a message under the first 16 bytes of a key."""
    d = [0, 0, 0, 0, 0, 0, 0, 0]
    padding = 192 - (len(message) % 192 or 192) if message else 192
    for p, m in enumerate(message + bytes(padding)):
        i = (p % 192) // 8
        b = p % 8
        v = 7 - b
        n = (d[v] + v) % 256 ^ 0xFF
        rotated_left = (n * 2) % 256 + n // 128
        rotated_right = (n % 2) * 128 + n // 2
        t = rotated_left if key[i % 16] & (1 << b) else 256 - rotated_right
        d[v] = (d[(v + 1) % 8] + m + t) % 256
    return bytes(d)


def rc4(key: bytes) -> Iterator[int]:
    """The stream of RC4 under a key."""
    s = list(range(256))
    j = 0
    for i in range(256):
        j = (j + s[i] + key[i % len(key)]) % 256
        s[i], s[j] = s[j], s[i]
    i = j = 0
    while True:
        i = (i + 1) % 256
        j = (j + s[i]) % 256
        s[i], s[j] = s[j], s[i]
        yield s[(s[i] + s[j]) % 256]


def apply(stream: Iterator[int], data: bytes) -> bytes:
    """Encrypt or decrypt with what comes next of a stream."""
    return bytes(byte ^ next(stream) for byte in data)


def packet_stream(key: bytes, request_digest: bytes) -> Iterator[int]:
    """The stream for a request with this digest, which goes on over its answer."""
    base = apply(rc4(key[:16]), ENCRYPTION_BASE)
    return rc4(bytes(a ^ b for a, b in zip(base[:DIGEST], request_digest, strict=True)) + base[DIGEST:])


class Inbox:
    """Finds requests in single bytes: two of length and so many behind them."""

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._bytes = bytearray()
        self._last = 0.0
        self._lost = False  # an impossible length: nothing is understood until there is a pause

    def feed(self, byte: int, now: float) -> bytes | None:
        """Take a byte; return what follows the length field of the request that it completes."""
        if now - self._last > self.gap:
            self.reset()
        self._last = now
        if self._lost:
            return None
        self._bytes.append(byte)
        if len(self._bytes) < 2:
            return None
        length = self._bytes[0] << 8 | self._bytes[1]
        if not 0 < length <= MOST:
            self._lost = True
        elif len(self._bytes) == 2 + length:
            body = bytes(self._bytes[2:])
            self.reset()
            return body
        return None

    def reset(self) -> None:
        """Forget what has begun."""
        self._bytes.clear()
        self._lost = False
