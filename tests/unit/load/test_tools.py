"""What other load tools are given fits the contract."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from load.h2load.bodies import main
from pecia.v1 import prompt_service_pb2 as pb
from pecia_client import payload_from_mapping
from support.checkout import ROOT

GHZ = ROOT / "tests/load/ghz"
PAYLOAD = json.loads(
    (ROOT / "docs/examples/companion/payloads/calm-evening.json").read_text(encoding="utf-8")
)
RENDER = pb.RenderRequest(
    bundle={"bundle_id": "companion", "semver": "1.2.0"}, payload=payload_from_mapping(PAYLOAD)
)


def configuration(name: str) -> dict[str, Any]:
    """Return a configuration of ghz."""
    read: dict[str, Any] = json.loads((GHZ / f"{name}.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("path", sorted(GHZ.glob("*.json")), ids=lambda path: path.stem)
def test_every_call_of_ghz_is_one_of_the_contract(path: Path) -> None:
    """By its full name, with data that are its request, and without a file in reflection's place."""
    config = configuration(path.stem)
    service, _, method = config["call"].rpartition(".")
    known = pb.DESCRIPTOR.services_by_name[service.removeprefix("pecia.v1.")].methods_by_name[method]
    request = getattr(pb, known.input_type.name)
    messages = config["data"] if known.client_streaming else [config["data"]]
    parsed: list[Message] = [ParseDict(each, request()) for each in messages]
    assert [True] * len(parsed) == [message.ByteSize() > 0 for message in parsed]
    assert {"proto", "protoset"} & set(config) == set()


def test_ghz_renders_the_example() -> None:
    """Alone, sixteen at once, and as a stream in which every answer can be told apart."""
    batch = ParseDict(configuration("batch")["data"], pb.RenderBatchRequest())
    stream = [ParseDict(each, pb.RenderStreamRequest()) for each in configuration("stream")["data"]]
    assert RENDER == ParseDict(configuration("render")["data"], pb.RenderRequest())
    assert [RENDER] * 16 == list(batch.requests)
    assert ([RENDER] * 32, 32) == (
        [each.request for each in stream],
        len({each.correlation_id for each in stream}),
    )


def test_bodies_for_h2load_are_framed_messages(tmp_path: Path) -> None:
    """A byte that says that nothing is compressed, four with the length, and the message."""
    assert 0 == CliRunner().invoke(main, [str(tmp_path), "--batch", "3"]).exit_code
    requests: list[tuple[str, Message, Message]] = [
        ("Render.grpc", pb.RenderRequest(), RENDER),
        ("RenderBatch.grpc", pb.RenderBatchRequest(), pb.RenderBatchRequest(requests=[RENDER] * 3)),
    ]
    for name, empty, expected in requests:
        data = (tmp_path / name).read_bytes()
        assert (0, len(data) - 5) == struct.unpack(">BI", data[:5])
        empty.ParseFromString(data[5:])
        assert expected == empty
