"""One caller of MLflow's prompt registry: loads a prompt from its server or its own cache, and formats it."""

from __future__ import annotations

import mlflow
from load.bench.peer_programs.laps import job, serve


def main() -> None:
    """Register the prompt, and serve laps."""
    work = job()
    mlflow.set_tracking_uri(work["url"])
    mlflow.set_registry_uri(work["url"])
    values = work["values"]
    mlflow.genai.register_prompt(name="bench", template=work["separator"].join(work["parts"]))

    def from_server(number: int) -> str:
        prompt = mlflow.genai.load_prompt("prompts:/bench/1", cache_ttl_seconds=0)
        return str(prompt.format(**values[number]))

    def from_cache(number: int) -> str:
        return str(mlflow.genai.load_prompt("prompts:/bench/1").format(**values[number]))

    serve({"server": from_server, "cache": from_cache}, len(values))


if __name__ == "__main__":
    main()
