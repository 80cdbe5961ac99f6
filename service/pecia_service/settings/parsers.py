"""How the texts of settings become values; each parser raises ValueError with what the value must be."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Final

from pecia_service.storage.url import DatabaseUrl

_GRPC_PORT: Final = 50_051
_PAGES_PORT: Final = 9464
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
# Without its brackets the port of an IPv6 address would be read as the address's last part.
_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[^]]*)\]|(?P<host>[^]:[]*)):(?P<port>[0-9]{1,5})", re.ASCII)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Make a parser of whole numbers in a range."""

    def parse(value: str) -> int:
        if not _DIGITS.fullmatch(value.strip()) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Make a parser of seconds in a range."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"must be a number of seconds from {least:g} to {most:g}")
        return number

    return parse


def switch(value: str) -> bool:
    """Read true or false, in the usual ways to write them."""
    match value.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise ValueError("must be true or false")


def choice(*names: str) -> Callable[[str], str]:
    """Make a parser of one of some names, in either case."""

    def parse(value: str) -> str:
        if value.strip().lower() not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return value.strip().lower()

    return parse


def address(value: str) -> str:
    """Accept HOST:PORT whose host is an IP address or localhost."""
    return _address(value, _GRPC_PORT)


def _address(value: str, usual_port: int) -> str:
    match = _ADDRESS.fullmatch(value.strip())
    if match is None or int(match["port"]) > 65_535 or not _is_host(match["v6"], match["host"]):
        hosts = [f"{host}:{usual_port}" for host in ("127.0.0.1", "0.0.0.0", "[::1]")]
        raise ValueError(f"must be HOST:PORT such as {hosts[0]}, {hosts[1]} or {hosts[2]}")
    return value.strip()


def _is_host(v6: str | None, host: str | None) -> bool:
    try:
        if v6 is not None:
            ipaddress.IPv6Address(v6)
        elif host != "localhost":
            ipaddress.IPv4Address(host or "")
    except ValueError:
        return False
    return True


def optional_address(value: str) -> str:
    """Accept what `address` accepts, or nothing; for pages that are served over HTTP."""
    return _address(value, _PAGES_PORT) if value.strip() else ""


def path(value: str) -> str:
    """Accept the path of a file or folder, or nothing; whether it can be used is seen at the start."""
    if "\0" in value:
        raise ValueError("must be a path")
    return value.strip()


def database_url(value: str) -> str:
    """Keep the text, once it is known to be a URL."""
    url = value.strip()
    DatabaseUrl.parse(url)
    return url


def is_loopback(address: str) -> bool:
    """Tell whether a HOST:PORT that a setting accepted can be reached from this machine only."""
    host = address.rpartition(":")[0].strip("[]")
    return host == "localhost" or ipaddress.ip_address(host).is_loopback
