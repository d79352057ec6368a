"""The meter's key in every form in which utilities hand it out. No message here ever shows a part of a key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nesgw.config.settings import Interface, Secret
from nesgw.values import KEY_LENGTH

# Bytes that the security service takes on the optical port, and that the digest of the MEP port takes.
LENGTHS: Final[dict[Interface, tuple[int, ...]]] = {"optical": (KEY_LENGTH,), "mep": (16, KEY_LENGTH)}

_EXAMPLE: Final = (
    "(a7941d…), {digits} hex digits (6137393431…) or {codes} decimal codes (97 55 57 52 …, "
    "with spaces, commas, semicolons or dashes)"
)
# What editors and web pages put between or around the characters, unseen: byte order mark, zero-width signs, joiner.
_UNSEEN: Final = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))
_QUOTES: Final = "\"'“”„‟‘’‚«»`"
# A name in front of the key, as in "RK: a7941d…".
_LABEL: Final = re.compile(r"[^\W\d][\w ()./-]{0,40}?\s*[:=]\s*")


@dataclass(frozen=True, slots=True)
class Key:
    """A meter's key, and the form in which it was written."""

    value: Secret
    form: str


def bare(text: str) -> str:
    """Return a secret's text without what was not typed: line ends, blanks, quotes, a byte order mark around it."""
    while (inner := text.strip().strip("\ufeff\u200b\u200c\u200d\u2060").strip()) != text:
        text = inner
    opening, closing = text[:1], text[-1:]
    if len(text) > 1 and opening in _QUOTES and closing in _QUOTES:
        return bare(text[1:-1])
    return text


def parse_key(text: str, interface: Interface = "optical") -> Key:
    """Recognise the form of a key and return its bytes.

    Raises ValueError that tells the length found, but nothing of the key itself.
    """
    lengths = LENGTHS[interface]
    text = bare(text.translate(_UNSEEN))
    lines = [line for line in text.splitlines() if bare(line)]
    keys = [key for line in lines if (key := _one_key(line, lengths))]
    whole = _one_key(text, lengths)
    if whole is not None and (len(keys) < 2 or _plain(whole.value.reveal())):
        return whole
    if len(keys) > 1:
        raise ValueError(f"{len(keys)} keys; leave only the one of this meter and port")
    if keys:
        raise ValueError("more than a key; leave only the key itself")
    raise ValueError(f"{_why_not(text, lengths)}; expected {_forms(lengths)}")


def is_key(text: str, lengths: Sequence[int] = (20,)) -> bool:
    """Whether a text that should be something else, such as a file's name, is a key: it must not be shown then."""
    text = bare(text)
    if len(text) in lengths:
        return text.isascii() and text.isalnum() and (len(text) == 20 or any(sign.isdigit() for sign in text))
    return _one_key(text, lengths) is not None


def without_keys(message: str) -> str:
    """Return a message without the key that a user may have typed in the place of something else."""
    return re.sub(r"[0-9A-Za-z]{20,}", lambda word: "(a key)" if is_key(word[0]) else word[0], message)


def _one_key(text: str, lengths: Sequence[int]) -> Key | None:
    """Take a text for one key, with or without a label in front."""
    for candidate in _without_label(bare(text)):
        for length in lengths:
            if key := _of_length(candidate, length):
                return key
    return None


def _without_label(text: str) -> Iterator[str]:
    yield text
    if label := _LABEL.match(text):
        yield bare(text[label.end() :])


def _of_length(text: str, length: int) -> Key | None:
    if len(text) == length and text.isascii() and text.isprintable() and " " not in text:
        return Key(Secret(text), f"{length} characters")
    groups = _groups(text)
    if len(groups) == length:
        return _from_groups(groups)
    digits = "".join(groups).lower().removeprefix("0x")
    if len(digits) != 2 * length or not re.fullmatch("[0-9a-f]+", digits):
        return None
    value = bytes.fromhex(digits)
    if [len(group) for group in groups] == [length, length] and not _plain(value):
        return None  # two keys of so many characters, rather than one of as many hex digits in two halves
    return Key(Secret(value), f"{2 * length} hex digits")


def _groups(text: str) -> list[str]:
    return [group for group in re.split(r"[\s,;:-]+", text) if group]


def _from_groups(groups: list[str]) -> Key | None:
    """As many groups as bytes are decimal codes, or pairs of hex digits where decimal makes no sense of them."""
    decimal = [int(group) for group in groups if re.fullmatch("[0-9]{1,3}", group) and int(group) < 256]
    pairs = [group.lower().removeprefix("0x") for group in groups]
    is_decimal = len(decimal) == len(groups)
    is_hex = all(re.fullmatch("[0-9a-f]{2}", pair) for pair in pairs)
    if is_decimal and not (is_hex and not _plain(bytes(decimal)) and _plain(bytes.fromhex("".join(pairs)))):
        return Key(Secret(bytes(decimal)), f"{len(groups)} decimal codes")
    return Key(Secret(bytes.fromhex("".join(pairs))), f"{2 * len(groups)} hex digits") if is_hex else None


def _why_not(text: str, lengths: Sequence[int]) -> str:
    if not text:
        return "the key is empty"
    for place, sign in enumerate(text, 1):
        if not (sign.isascii() and (sign.isprintable() or sign.isspace())):
            return f"not a key: character {place} is no letter, digit or sign"
    groups = _groups(text)
    if len(groups) == 2 and all(len(group) in lengths for group in groups):
        return "not a key: 2 keys, or one with a gap in the middle"
    if len(groups) > 1 and sum(map(len, groups)) in (*lengths, *(2 * length for length in lengths)):
        return "not a key: it has a gap or a line end in the middle; write it in one piece"
    if len(groups) in lengths:
        return f"not a key: {len(groups)} groups that are neither decimal codes below 256 nor hex pairs"
    if len(groups) > 2:
        what = "numbers" if all(group.isdigit() for group in groups) else "groups"
        return f"not a key: {len(groups)} {what}{_off_by_one(len(groups), lengths)}"
    count = sum(map(len, groups))
    return f"not a key: {_count(count)}{_off_by_one(count, (*lengths, *(2 * length for length in lengths)))}"


def _off_by_one(count: int, lengths: Sequence[int]) -> str:
    if count + 1 in lengths:
        return ", one is missing"
    return ", one too many" if count - 1 in lengths else ""


def _forms(lengths: Sequence[int]) -> str:
    def either(factor: int) -> str:
        return " or ".join(str(factor * length) for length in lengths)

    return f"{either(1)} characters " + _EXAMPLE.format(digits=either(2), codes=either(1))


def _count(characters: int) -> str:
    return "1 character" if characters == 1 else f"{characters} characters"


def _plain(value: bytes) -> bool:
    """Keys seen in the field are letters and digits (F1): this settles what "61 37 39 …" means."""
    return value.isalnum()
