"""What docs/clients.md tells to copy is what the Python client does itself."""

import json
from typing import Any

from pecia_client.retry import DEFAULT_RETRY
from support.checkout import ROOT


def seconds(config: dict[str, Any]) -> dict[str, Any]:
    """Return a service config whose durations are numbers: JSON has several texts for one."""
    for method in config["methodConfig"]:
        for key, value in method.get("retryPolicy", {}).items():
            if key.endswith("Backoff"):
                method["retryPolicy"][key] = float(value.removesuffix("s"))
    return config


def test_service_config() -> None:
    """The retries that other languages are told to set are those of the Python client."""
    guide = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = guide.partition("```json\n")[2].partition("```")[0]
    assert seconds(json.loads(DEFAULT_RETRY.service_config())) == seconds(json.loads(shown))
