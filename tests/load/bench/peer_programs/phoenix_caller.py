"""One caller of Arize Phoenix's prompts: gets a prompt version from its server, and formats it."""

from __future__ import annotations

from load.bench.peer_programs.laps import job, serve
from phoenix.client import Client
from phoenix.client.types import PromptVersion


def main() -> None:
    """Create the prompt, and serve laps."""
    work = job()
    client = Client(base_url=work["url"])
    values = work["values"]
    messages = [
        {"role": role, "content": part} for role, part in zip(work["roles"], work["parts"], strict=True)
    ]
    version = PromptVersion(messages, model_name="none", template_format="MUSTACHE")
    version_id = client.prompts.create(name="bench", version=version).id

    def from_server(number: int) -> str:
        prompt = client.prompts.get(prompt_version_id=version_id)
        written = prompt.format(variables={name: str(value) for name, value in values[number].items()})
        return str(work["separator"].join(message["content"] for message in written.messages))

    serve({"server": from_server}, len(values))


if __name__ == "__main__":
    main()
