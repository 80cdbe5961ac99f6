"""Cases about canonical forms and the hashes of payloads."""

import struct
from collections.abc import Mapping

from clients.python.checks import Checks
from clients.python.vectors import Json, normalise, payload_canonical, read_json, sha256
from clients.python.vectors import canonical as rfc8785
from clients.python.world import World, inline_of, refused


def canonical(world: World, checks: Checks) -> str:
    """Write every JSON text and every double of the vectors in the form of RFC 8785."""
    for vector in world.vectors.read("canonical_json", "values"):
        checks.where = vector["name"]
        written = rfc8785(read_json(vector["input"]))
        checks.equal("canonical", vector["expected"]["canonical"], written.decode())
        checks.equal("sha256", vector["expected"]["sha256"], sha256(written))
    for vector in world.vectors.read("canonical_json", "numbers"):
        checks.where = vector["name"]
        (number,) = struct.unpack(">d", bytes.fromhex(vector["input"]))
        checks.equal("canonical", vector["expected"]["canonical"], rfc8785(number).decode())
    return ""


def payload_hash(world: World, checks: Checks) -> str:
    """Normalise, write and hash every payload, and hear the same from the server."""
    inline = inline_of(world.vectors.render_input("plain"))

    def render(payload: Mapping[str, Json]) -> str:
        answer = world.client.render(inline_bundle=inline, payload=payload, validate_only=True)
        return answer.receipt.payload_hash

    for vector in world.vectors.read("text", "texts"):
        checks.where = vector["name"]
        if "error" in vector:
            payload = {**world.payload(), "task": vector["input"]}
            checks.equal("reason", vector["error"]["reason"], refused(lambda: render(payload)).reason)  # noqa: B023 - called at once
            continue
        normal = normalise(vector["input"])
        checks.equal("normalised", vector["expected"]["normalised"], normal)
        checks.equal("utf8_sha256", vector["expected"]["utf8_sha256"], sha256(normal.encode()))
    for vector in world.vectors.read("payloads", "payloads"):
        checks.where, payload = vector["name"], vector["input"]
        if "error" in vector:
            checks.equal("reason", vector["error"]["reason"], refused(lambda: render(payload)).reason)  # noqa: B023 - called at once
            continue
        written, expected = payload_canonical(payload), vector["expected"]
        checks.equal("canonical", expected["canonical"], written.decode())
        checks.equal("payload_hash", expected["payload_hash"], sha256(written))
        checks.equal("payload_hash of the receipt", expected["payload_hash"], render(payload))
    return ""
