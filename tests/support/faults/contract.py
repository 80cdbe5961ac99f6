"""Which statuses the contract names for each RPC, read from the comments of the protos."""

from __future__ import annotations

import re
from typing import Final

import grpc
from support.checkout import ROOT

_SERVICE: Final = re.compile(r"((?:^//.*\n)+)^service (\w+) \{\n((?:.*\n)*?)^\}", re.MULTILINE)
_RPC: Final = re.compile(r"((?:^  //.*\n)+)^  rpc (\w+)\(", re.MULTILINE)
_CODE: Final = re.compile(rf"\b({'|'.join(code.name for code in grpc.StatusCode)})\b")
_AS_FOR: Final = re.compile(r"as\s+for\s+(\w+)")


def named_statuses() -> dict[str, frozenset[str]]:
    """Return the statuses that the comments of an RPC and of its service name, by full names of methods."""
    named: dict[str, frozenset[str]] = {}
    for proto in sorted((ROOT / "protos" / "pecia" / "v1").glob("*_service.proto")):
        for about, service, body in _SERVICE.findall(proto.read_text(encoding="utf-8")):
            every = _codes(about)
            comments = {name: comment.replace("//", " ") for comment, name in _RPC.findall(body)}
            for name, comment in comments.items():
                others = [comments[other] for other in _AS_FOR.findall(comment) if other in comments]
                codes = frozenset().union(every, *map(_codes, [comment, *others]))
                named[f"/pecia.v1.{service}/{name}"] = codes
    return named


def _codes(comment: str) -> frozenset[str]:
    return frozenset(_CODE.findall(comment))
