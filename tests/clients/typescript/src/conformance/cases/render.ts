/** The case `render`: every vector, as a bundle that comes with the request. */

import { Code } from "@connectrpc/connect";
import { Role, Slot, type RenderResponse } from "@pecia/client";

import { payloadHash } from "../../canonical/payload.js";
import { sha256 } from "../../canonical/text.js";
import { failureOf } from "../../client/failure.js";
import type { Checks } from "../checks.js";
import type { Case } from "../context.js";
import { inlineBundleOf, payloadOf } from "../definitions.js";
import type { Accepted, ExpectedRender, GivenRender, Refused } from "../vectors.js";

export const render: Case = async ({ pecia, vectors }, checks) => {
  const send = (given: GivenRender): Promise<RenderResponse> =>
    pecia.prompts.render({
      source: { case: "inlineBundle", value: inlineBundleOf(given) },
      payload: payloadOf(given.payload),
    });

  for (const vector of vectors.renders.accepted) {
    compare(checks, vector, await send(vector.input));
  }
  for (const vector of vectors.renders.refused) {
    const { name, error } = vector;
    const refused = await checks.refused(name, Code.FailedPrecondition, send(sendable(vector)));
    checks.equal(`${name}, reason`, error.reason, failureOf(refused).reason);
  }
  return undefined;
};

function compare(
  checks: Checks,
  { name, input, expected }: Accepted<GivenRender, ExpectedRender>,
  { prompt, parts, receipt }: RenderResponse,
): void {
  checks.equal(`${name}, prompt`, expected.prompt, prompt);
  for (const [place, part] of expected.parts.entries()) {
    const found = parts[place];
    checks.equal(`${name}, slot of part ${place}`, part.slot.toUpperCase(), Slot[found?.slot ?? 0]);
    checks.equal(`${name}, role of part ${place}`, part.role.toUpperCase(), Role[found?.role ?? 0]);
    checks.equal(`${name}, text of part ${place}`, part.text, found?.text);
  }
  checks.equal(`${name}, number of parts`, expected.parts.length, parts.length);

  const promptHash = sha256(prompt);
  checks.equal(`${name}, prompt_hash`, expected.prompt_hash, promptHash);
  checks.equal(`${name}, prompt_hash of the receipt`, promptHash, receipt?.promptHash);
  const hash = payloadHash(payloadOf(input.payload));
  checks.equal(`${name}, payload_hash`, expected.payload_hash, hash);
  checks.equal(`${name}, payload_hash of the receipt`, hash, receipt?.payloadHash);
  checks.equal(`${name}, bundle_hash`, expected.bundle_hash, receipt?.bundleHash);
  checks.equal(`${name}, renderer_version`, expected.renderer_version, receipt?.rendererVersion);
}

/** No server can be set to the few bytes that a prompt of the vectors is too large for: this one is for any server. */
function sendable({ input, error }: Refused<GivenRender>): GivenRender {
  if (error.reason !== "PROMPT_TOO_LARGE") {
    return input;
  }
  const [first, ...others] = input.templates;
  if (first === undefined) {
    throw new Error("the vector has no templates");
  }
  return {
    ...input,
    templates: [{ ...first, content: "{{task}}".repeat(64) }, ...others],
    payload: { ...input.payload, task: "x".repeat(65_536) },
  };
}
