"""gRPC's own options for a server: sizes, streams, and how long connections live."""

from __future__ import annotations

from pecia_service.settings import Settings


def server_options(settings: Settings, *, share_port: bool) -> list[tuple[str, int]]:
    """Return the channel arguments that the settings ask for.

    With `share_port` other processes may listen on the same port (SO_REUSEPORT).
    """
    options = [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", settings.max_response_bytes),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", _milliseconds(settings.handshake_seconds)),
        ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
        # A port that is taken is an error, not a silent share.
        ("grpc.so_reuseport", int(share_port)),
        ("grpc.keepalive_time_ms", _milliseconds(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _milliseconds(settings.keepalive_timeout)),
        # Of the two, gRPC 1.85 heeds this one only, whose default is a minute.
        ("grpc.http2.ping_timeout_ms", _milliseconds(settings.keepalive_timeout)),
        # A connection that has no call at the moment is asked as well, and may ask.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(settings.keepalive_min_ping)),
        ("grpc.enable_channelz", int(settings.channelz)),
    ]
    if settings.connection_age:
        # gRPC itself varies the age by a tenth, so that connections don't all end at once.
        options.append(("grpc.max_connection_age_ms", _milliseconds(settings.connection_age)))
        options.append(("grpc.max_connection_age_grace_ms", _milliseconds(settings.connection_age_grace)))
    return options


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds else 0
