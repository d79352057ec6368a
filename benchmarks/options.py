"""The command lines of the tools that measure: a mistake ends with one sentence and exit code 64, as nesgw's own do."""

from __future__ import annotations

import argparse
from typing import NoReturn

from nesgw.errors import EX_USAGE


class Parser(argparse.ArgumentParser):
    """argparse with the exit code of sysexits.h."""

    def error(self, message: str) -> NoReturn:
        """End with a sentence."""
        self.exit(EX_USAGE, f"{self.prog}: {message}; see: {self.prog} --help\n")


def at_least_one(text: str) -> int:
    """Take a whole number from 1 on."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
