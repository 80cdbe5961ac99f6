/** The case `batch`: many renders in one call, one of which fails without failing the others. */

import { Code } from "@connectrpc/connect";

import { payloadHash } from "../../canonical/payload.js";
import { sha256 } from "../../canonical/text.js";
import { failureOfOutcome } from "../../client/failure.js";
import { byVersion, examplePayload, renderOf, type Case } from "../context.js";

const SIZE = 64;
const BAD = 40;

export const batch: Case = async (context, checks) => {
  const bundle = byVersion(context);
  const payloads = Array.from({ length: SIZE }, (_, place) => {
    const payload = examplePayload(context, `item ${place}`);
    if (place === BAD) {
      delete payload.stress;
    }
    return payload;
  });

  const { outcomes } = await context.pecia.prompts.renderBatch({
    requests: payloads.map((payload) => renderOf(bundle, payload)),
  });
  checks.equal("number of outcomes", SIZE, outcomes.length);

  for (const [place, payload] of payloads.entries()) {
    const where = `outcome ${place}`;
    const outcome = outcomes[place]?.outcome;
    if (place === BAD) {
      if (outcome?.case !== "error") {
        return checks.fail(where, "an error", String(outcome?.case));
      }
      const failure = failureOfOutcome(outcome.value);
      checks.equal(`${where}, code`, Code.InvalidArgument, failure.code);
      checks.equal(`${where}, reason`, "PAYLOAD_INVALID", failure.reason);
      const fields = failure.violations.map(({ field }) => field);
      checks.equal(`${where}, field violations`, ["payload.stress"], fields);
    } else {
      if (outcome?.case !== "response") {
        return checks.fail(where, "a response", String(outcome?.case));
      }
      const { prompt, receipt } = outcome.value;
      checks.equal(`${where}, prompt_hash`, sha256(prompt), receipt?.promptHash);
      checks.equal(`${where}, payload_hash`, payloadHash(payload), receipt?.payloadHash);
    }
  }
  return undefined;
};
