"""Write the bodies of gRPC calls as h2load sends them: one message, behind the five bytes that frame it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final

import click
from google.protobuf.message import Message
from pecia.v1.prompt_service_pb2 import RenderBatchRequest
from pecia_client import payload_from_mapping, render_request

ROOT: Final = Path(__file__).resolve().parents[3]
PAYLOAD: Final = ROOT / "docs/examples/companion/payloads/calm-evening.json"


def framed(message: Message) -> bytes:
    """Return a message, not compressed, as gRPC over HTTP/2 carries it."""
    content = message.SerializeToString()
    return struct.pack(">BI", 0, len(content)) + content


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--bundle", default="companion@1.2.0", show_default=True, help="ID@VERSION or ID@LABEL.")
@click.option(
    "--payload",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=PAYLOAD,
    help="A payload as JSON.  [default: that of the example]",
)
@click.option(
    "--batch", type=click.IntRange(1, 256), default=64, show_default=True, help="Renders in a batch."
)
def main(folder: Path, bundle: str, file: Path, batch: int) -> None:
    """Write Render.grpc and RenderBatch.grpc into FOLDER."""
    payload = payload_from_mapping(json.loads(file.read_text(encoding="utf-8")))
    try:
        request = render_request(bundle, payload=payload)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    (folder / "Render.grpc").write_bytes(framed(request))
    (folder / "RenderBatch.grpc").write_bytes(framed(RenderBatchRequest(requests=[request] * batch)))


if __name__ == "__main__":
    main()
