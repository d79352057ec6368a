"""The decrypt key in every form in which utilities hand it out. No message here ever shows a part of a key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from nesgw.values import KEY_LENGTH

FORMS: Final = (
    "20 characters (a7941d…), 40 hex digits (6137393431…) or 20 decimal codes (97 55 57 52 …, "
    "with spaces, commas, semicolons or dashes)"
)


@dataclass(frozen=True, slots=True)
class Key:
    """The 20 bytes that the security service takes, and the form in which they were written."""

    value: bytes = field(repr=False)
    form: str


def parse_key(text: str) -> Key:
    """Recognise the form of a key and return its bytes.

    Raises ValueError that tells the length found, but nothing of the key itself.
    """
    text = text.strip().strip("\"'").strip()
    if len(text) == KEY_LENGTH and text.isascii() and text.isprintable():
        return Key(text.encode("ascii"), "20 characters")
    groups = [group for group in re.split(r"[\s,;:-]+", text) if group]
    if len(groups) == KEY_LENGTH:
        return _from_groups(groups)
    digits = "".join(groups).lower().removeprefix("0x")
    if len(digits) == 2 * KEY_LENGTH and re.fullmatch("[0-9a-f]+", digits):
        return Key(bytes.fromhex(digits), "40 hex digits")
    if not text:
        raise ValueError(f"the key is empty; expected {FORMS}")
    raise ValueError(f"not a key: {_count(len(text), 'character')} in {_count(len(groups), 'group')}; expected {FORMS}")


def is_key(text: str) -> bool:
    """Whether a text that should be something else, such as a file's name, is a key: it must not be shown then."""
    text = text.strip().strip("\"'").strip()
    if len(text) == KEY_LENGTH:
        return text.isascii() and text.isalnum()
    try:
        parse_key(text)
    except ValueError:
        return False
    return True


def without_keys(message: str) -> str:
    """Return a message without the key that a user may have typed in the place of something else."""
    return re.sub(r"[0-9A-Za-z]{20,}", lambda word: "(a key)" if is_key(word[0]) else word[0], message)


def _from_groups(groups: list[str]) -> Key:
    """Twenty groups are decimal codes, or pairs of hex digits where decimal makes no sense of them."""
    decimal = [int(group) for group in groups if re.fullmatch("[0-9]{1,3}", group) and int(group) < 256]
    pairs = [group.lower().removeprefix("0x") for group in groups]
    is_decimal = len(decimal) == KEY_LENGTH
    is_hex = all(re.fullmatch("[0-9a-f]{2}", pair) for pair in pairs)
    if is_decimal and not (is_hex and not _plain(bytes(decimal)) and _plain(bytes.fromhex("".join(pairs)))):
        return Key(bytes(decimal), "20 decimal codes")
    if is_hex:
        return Key(bytes.fromhex("".join(pairs)), "40 hex digits")
    raise ValueError(f"not a key: 20 groups that are neither decimal codes below 256 nor hex pairs; expected {FORMS}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _plain(value: bytes) -> bool:
    """Keys seen in the field are letters and digits: this settles what "61 37 39 …" means."""
    return value.isalnum()
