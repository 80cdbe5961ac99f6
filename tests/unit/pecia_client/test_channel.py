"""Options of channels."""

import pytest
from pecia_client import AsyncClient, Client, check_target
from pecia_client.channel import channel_options


def test_messages_up_to_64_mib_pass_both_ways() -> None:
    """A prompt of 3 MiB comes twice in an answer, and batches hold many."""
    options = dict(channel_options("h:1"))
    assert options["grpc.max_receive_message_length"] == 67_108_864
    assert options["grpc.max_send_message_length"] == 67_108_864


def test_an_override_replaces_an_option() -> None:
    """A caller's option wins and appears once."""
    options = channel_options("h:1", [("grpc.keepalive_time_ms", 1), ("grpc.custom", "x")])
    assert [value for name, value in options if name == "grpc.keepalive_time_ms"] == [1]
    assert ("grpc.custom", "x") in options


@pytest.mark.parametrize(
    ("target", "expected"),
    [("127.0.0.1:1", 0), ("localhost:1", 0), ("[::1]:1", 0), ("pecia.example:1", None)],
)
def test_loopback_needs_no_proxy(target: str, expected: int | None) -> None:
    """A proxy from the environment cannot reach this machine's loopback, but may lead to others."""
    assert dict(channel_options(target)).get("grpc.enable_http_proxy") == expected


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:1",
        "pecia:65535",
        "[::1]:50051",
        "unix:/run/pecia.sock",
        "unix:///p",
        "dns:///pecia.example:1",
    ],
)
def test_an_address_with_a_port_is_a_target(target: str) -> None:
    """So is a socket in the file system."""
    assert check_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "localhost",
        "localhost:",
        ":1",
        "h:0",
        "h:65536",
        "h:x",
        "::1:1",
        "[::1]",
        "[h]:1",
        "unix:",
        "http://h:1",
    ],
)
async def test_what_is_no_target_is_refused(target: str) -> None:
    """Both clients say at once what a target is, before anything is called."""
    for client in (Client, AsyncClient):
        with pytest.raises(ValueError, match=r"^target must be HOST:PORT such as 127\.0\.0\.1:50051$"):
            client(target)
