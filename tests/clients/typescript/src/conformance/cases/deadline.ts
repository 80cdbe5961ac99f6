/** The case `deadline`: a call that nothing happens on ends by its deadline, and harms no other. */

import { Code } from "@connectrpc/connect";
import type { RenderStreamRequest } from "@pecia/client";

import { sha256 } from "../../canonical/text.js";
import { byVersion, examplePayload, renderOf, type Case } from "../context.js";

const TIMEOUT_MS = 200;

export const deadline: Case = async (context, checks) => {
  const { prompts } = context.pecia;
  await checks.refused(
    "a stream without requests",
    Code.DeadlineExceeded,
    drain(prompts.renderStream(nothing(), { timeoutMs: TIMEOUT_MS })),
  );
  const { prompt, receipt } = await prompts.render(renderOf(byVersion(context), examplePayload(context)));
  checks.equal("render after it, prompt_hash", sha256(prompt), receipt?.promptHash);
  return undefined;
};

/** Neither yields a request nor ends. */
async function* nothing(): AsyncGenerator<RenderStreamRequest> {
  await new Promise(() => undefined);
}

async function drain(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers) {
    // Only the end of the stream matters.
  }
}
