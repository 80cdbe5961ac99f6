/** The case `stream`: requests go out while answers come in, in any order. */

import { create } from "@bufbuild/protobuf";
import { RenderStreamRequestSchema, type DerivedPayload, type RenderStreamRequest } from "@pecia/client";

import { payloadHash } from "../../canonical/payload.js";
import { sha256 } from "../../canonical/text.js";
import { byVersion, examplePayload, renderOf, type Case } from "../context.js";

const SIZE = 100;
const TIMEOUT_MS = 20_000;

export const stream: Case = async (context, checks) => {
  const bundle = byVersion(context);
  const payloads = new Map<string, DerivedPayload>(
    Array.from({ length: SIZE }, (_, place) => [
      `${context.prefix}-${place}`,
      examplePayload(context, `item ${place}`),
    ]),
  );
  async function* requests(): AsyncGenerator<RenderStreamRequest> {
    for (const [correlationId, payload] of payloads) {
      yield create(RenderStreamRequestSchema, { correlationId, request: renderOf(bundle, payload) });
    }
  }

  const answers = [];
  for await (const answer of context.pecia.prompts.renderStream(requests(), { timeoutMs: TIMEOUT_MS })) {
    answers.push(answer);
  }
  checks.equal("number of answers", SIZE, answers.length);
  checks.equal(
    "correlation ids",
    [...payloads.keys()].sort(),
    answers.map(({ correlationId }) => correlationId).sort(),
  );

  for (const { correlationId, outcome } of answers) {
    const payload = payloads.get(correlationId);
    if (payload === undefined || outcome?.outcome.case !== "response") {
      return checks.fail(correlationId, "a response", String(outcome?.outcome.case));
    }
    const { prompt, receipt } = outcome.outcome.value;
    checks.equal(`${correlationId}, prompt_hash`, sha256(prompt), receipt?.promptHash);
    checks.equal(`${correlationId}, payload_hash`, payloadHash(payload), receipt?.payloadHash);
  }
  return undefined;
};
