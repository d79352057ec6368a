"""The keyed digest of the MEP port: eight bytes that prove key, request and answer together. Pure arithmetic.

It is the only check on the line; there is no checksum beside it. As a cipher it is broken: whoever has one message with
its digest, and the meter to ask, can find the key. So no digest is ever shown, and a ``DigestKey`` shows nothing.
Source: MEP Client Developer's Guide 1.1, pages 13 and 250 to 253.
"""

from __future__ import annotations

from itertools import cycle
from typing import Final, NoReturn

DIGEST_LENGTH: Final = 8
KEY_LENGTH: Final = 16  # bytes of a key that count
GIVEN_LENGTH: Final = 20  # bytes of a key as utilities hand it out

_BLOCK: Final = 192  # bytes of a message that use up the key's bits
_PLACES: Final = (7, 6, 5, 4, 3, 2, 1, 0)  # which byte of the digest a byte of the message changes, in turn


class DigestKey:
    """What the digest needs of a meter's key: its first 16 bytes, as the order of bits in which they are used.

    The bytes cannot be had back: no text, no copy on a disk and no other process gets to see them.
    """

    __slots__ = ("_bits",)

    def __init__(self, key: bytes) -> None:
        """Take a key of 20 bytes, or of 16 where the last four were cut off already.

        Raises ValueError for any other length; the message tells the length and nothing of the key.
        """
        if len(key) not in (KEY_LENGTH, GIVEN_LENGTH):
            raise ValueError(f"a MEP key has {KEY_LENGTH} or {GIVEN_LENGTH} bytes, this one {len(key)}")
        walked = key[:KEY_LENGTH] + key[: _BLOCK // 8 - KEY_LENGTH]  # one and a half times in each block
        self._bits = tuple(byte >> bit & 1 for byte in walked for bit in range(8))

    def digest(self, message: bytes) -> bytes:
        """Give the eight bytes for a message, which is filled up with zeros to whole blocks, at least one."""
        blocks = max(1, -(-len(message) // _BLOCK))
        state = [0] * DIGEST_LENGTH
        for byte, bit, place in zip(message.ljust(blocks * _BLOCK, b"\0"), cycle(self._bits), cycle(_PLACES)):
            mixed = ~(state[place] + place) & 0xFF
            turned = mixed << 1 | mixed >> 7 if bit else -(mixed >> 1 | mixed << 7)
            state[place] = state[(place + 1) % DIGEST_LENGTH] + byte + turned & 0xFF
        return bytes(state)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not to be written down")
