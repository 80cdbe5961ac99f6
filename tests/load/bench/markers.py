"""Put what was measured between the markers of a document."""

from __future__ import annotations

import re
from pathlib import Path


def write_between(file: Path, begin: str, end: str, text: str) -> None:
    """Replace what a document has between two lines; raises ValueError where they are not there just once."""
    pair = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    written, count = pair.subn(lambda _: f"{begin}\n\n{text}\n\n{end}", file.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{file.name} needs the lines {begin} and {end}, once and in this order")
    file.write_text(written, encoding="utf-8")
