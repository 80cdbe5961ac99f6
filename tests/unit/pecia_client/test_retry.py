"""Policies of retries, and what gRPC is told of them."""

import json
import math

import pytest
from pecia_client import RetryPolicy
from pecia_client.channel import channel_options

SERVICES = [{"service": f"pecia.v1.{name}Service"} for name in ("Registry", "Prompt", "Admin")]
RENDER_STREAM = [{"service": "pecia.v1.PromptService", "method": "RenderStream"}]


def test_a_policy_is_written_as_a_service_config() -> None:
    """For every service of the contract, and for no stream of requests."""
    policy = RetryPolicy(attempts=3, first_delay=0.25, longest_delay=4, multiplier=1.5, exhausted=True)
    expected = {
        "maxAttempts": 3,
        "initialBackoff": "0.250s",
        "maxBackoff": "4.000s",
        "backoffMultiplier": 1.5,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
    config = {"methodConfig": [{"name": SERVICES, "retryPolicy": expected}, {"name": RENDER_STREAM}]}
    assert config == json.loads(policy.service_config())


def test_a_channel_has_the_default_policy() -> None:
    """Four attempts, when the server is not available."""
    config = dict(channel_options("h:1"))["grpc.service_config"]
    assert RetryPolicy(4, 0.1, 2.0, 2.0, False).service_config() == config


def test_a_channel_without_a_policy_has_no_service_config() -> None:
    """So that what `options` give is all there is."""
    options = channel_options("h:1", [("grpc.service_config", "{}")], retry=None)
    assert ("grpc.service_config", "{}") in options
    assert "grpc.service_config" not in dict(channel_options("h:1", retry=None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 1},
        {"attempts": 6},
        {"attempts": True},
        {"attempts": 2.5},
        {"first_delay": 0.009},
        {"first_delay": 3.0},
        {"longest_delay": 3601.0},
        {"first_delay": math.nan},
        {"multiplier": 0.5},
        {"multiplier": math.inf},
    ],
)
def test_a_policy_that_grpc_would_change_is_refused(wrong: dict[str, float]) -> None:
    """gRPC ignores a service config that it does not understand, and makes more than five attempts five."""
    with pytest.raises(ValueError, match=r"attempts must|first_delay <=|multiplier must"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]  # that is the point
