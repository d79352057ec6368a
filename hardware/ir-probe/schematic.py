"""Lets KiCad draw kicad/ir-probe.kicad_sch as schematic.svg, and notes from which file it was drawn.

Needs kicad-cli (Debian's package kicad, version 7 or later). KiCad draws each letter as strokes and hides the text
behind them; here the text is shown and the strokes are left out, which makes the file 30 times smaller.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from netlist import HERE

SHEET = HERE / "kicad" / "ir-probe.kicad_sch"
PICTURE = HERE / "schematic.svg"
RECORD = HERE / "schematic.sha256"

TEXT = re.compile(
    r'<text ([^>]*?) opacity="0" stroke-opacity="0">([^<]*)</text>\s*<g class="stroked-text">.*?</g>', re.S
)


def plot(kicad: str, folder: Path) -> str:
    """Let KiCad draw the sheet without its frame."""
    command = [kicad, "sch", "export", "svg", "--exclude-drawing-sheet", "--no-background-color"]
    subprocess.run([*command, "--output", str(folder), str(SHEET)], check=True, capture_output=True, timeout=120)
    return next(folder.glob("*.svg")).read_text(encoding="utf-8")


def simplify(svg: str) -> str:
    """Show each text once instead of its strokes, on white; take the date out."""
    seen = set()

    def shown(match: re.Match[str]) -> str:
        colour = re.findall(r"stroke:(#\w+);", svg[: match.start()])[-1]
        text = f'<text {match[1]} fill="{colour}" stroke="none">{match[2]}</text>'
        if text in seen:
            return ""
        seen.add(text)
        return text

    svg = TEXT.sub(shown, svg)
    svg = re.sub(r"<!DOCTYPE.*?>", "", svg, flags=re.S)
    head = '<title>The probe\'s circuit</title>\n<rect width="100%" height="100%" fill="white"/>'
    svg = re.sub(r"<title>.*?</desc>", head, svg, count=1, flags=re.S)
    svg = re.sub(r'width="[\d.]+mm" height="[\d.]+mm"', 'font-family="DejaVu Sans, sans-serif"', svg, count=1)
    svg = re.sub(r"\d+\.\d{3,}", lambda digits: f"{float(digits[0]):g}", svg)
    return re.sub(r"\s*\n\s*", "\n", svg).strip() + "\n"


def record() -> str:
    """Write the digests of the sheet and of its picture, as sha256sum does."""
    files = (SHEET, PICTURE)
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(HERE)}\n" for f in files)


if __name__ == "__main__":
    program = shutil.which(sys.argv[1] if len(sys.argv) > 1 else "kicad-cli")
    if program is None:
        raise SystemExit("kicad-cli is not installed (Debian: apt install kicad)")
    with tempfile.TemporaryDirectory() as place:
        PICTURE.write_text(simplify(plot(program, Path(place))), encoding="utf-8")
    RECORD.write_text(record(), encoding="utf-8")
