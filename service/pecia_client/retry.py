"""Say when a call is tried again, as the service config of a channel."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

_SERVICES = ("RegistryService", "PromptService", "AdminService")
# gRPC Core can lose a message of a stream of requests when it sends the stream again.
_NOT_RETRIED = [{"service": "pecia.v1.PromptService", "method": "RenderStream"}]
_MAX_ATTEMPTS = 5
# gRPC counts in milliseconds, and gives calls up instead of waiting for less than one.
_MIN_DELAY = 0.01
_MAX_DELAY = 3600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call that failed with UNAVAILABLE is made anew, and after what delays.

    gRPC makes the attempts itself, inside one call and its deadline. Every RPC of the contract may be tried
    again: it changes nothing, or changes nothing more when it comes twice, or carries a `request_id`. Other
    statuses are answers, and are never retried; nor is a stream that has begun to answer, nor RenderStream.

    A server that has too much to do says RESOURCE_EXHAUSTED and after how long a retry makes sense
    (`PeciaError.retry_after`). Callers who come back sooner make it worse, so that a program decides that
    itself unless `exhausted` is set.

    Attributes:
        attempts: How often a call is made at most, the first time included: 2 to 5, which is gRPC's limit.
        first_delay: Seconds before the second attempt, about: gRPC varies each delay a little.
        longest_delay: Seconds that no delay exceeds, about.
        multiplier: How much longer each delay is than the one before, 1 or more.
        exhausted: Whether RESOURCE_EXHAUSTED is retried too, after the same delays; also where it means
            that a message is too large, which no retry helps.

    """

    attempts: int = 4
    first_delay: float = 0.1
    longest_delay: float = 2.0
    multiplier: float = 2.0
    exhausted: bool = False

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or not 2 <= self.attempts <= _MAX_ATTEMPTS:
            raise ValueError(
                f"attempts must be a whole number from 2 to {_MAX_ATTEMPTS}; retry=None makes one attempt"
            )
        if not _MIN_DELAY <= self.first_delay <= self.longest_delay <= _MAX_DELAY:
            raise ValueError(
                f"give {_MIN_DELAY} <= first_delay <= longest_delay <= {_MAX_DELAY:.0f}, both in seconds"
            )
        if not (self.multiplier >= 1 and math.isfinite(self.multiplier)):
            raise ValueError("multiplier must be a number of 1 or more")

    def service_config(self) -> str:
        """Return the policy as the JSON of a gRPC service config."""
        statuses = ["UNAVAILABLE", *(["RESOURCE_EXHAUSTED"] if self.exhausted else [])]
        policy = {
            "maxAttempts": self.attempts,
            "initialBackoff": f"{self.first_delay:.3f}s",
            "maxBackoff": f"{self.longest_delay:.3f}s",
            "backoffMultiplier": self.multiplier,
            "retryableStatusCodes": statuses,
        }
        names = [{"service": f"pecia.v1.{name}"} for name in _SERVICES]
        return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}, {"name": _NOT_RETRIED}]})


DEFAULT_RETRY = RetryPolicy()
