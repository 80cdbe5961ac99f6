/** The case `payload_hash`: texts and payloads are normalised and hashed here as the server does. */

import { Code } from "@connectrpc/connect";
import type { RenderResponse } from "@pecia/client";

import { canonicalPayload, payloadHash } from "../../canonical/payload.js";
import { normaliseText, sha256 } from "../../canonical/text.js";
import { failureOf } from "../../client/failure.js";
import type { Case } from "../context.js";
import { inlineBundleOf, payloadOf } from "../definitions.js";
import { named, type GivenPayload } from "../vectors.js";

/** Composes only with the data of Unicode 16. */
const NEWEST_TEXT = "composition_of_unicode_16";
const NEWEST_UNICODE = 16;

export const payloadHashes: Case = async ({ pecia, vectors }, checks) => {
  const unicode = process.versions["unicode"] ?? "0";
  const leftOut = Number.parseInt(unicode, 10) < NEWEST_UNICODE ? NEWEST_TEXT : undefined;
  const { input: plain } = named(vectors.renders, "plain");
  const send = (payload: GivenPayload): Promise<RenderResponse> =>
    pecia.prompts.render({
      source: { case: "inlineBundle", value: inlineBundleOf(plain) },
      payload: payloadOf(payload),
      validateOnly: true,
    });

  for (const { name, input, expected } of vectors.texts.accepted) {
    if (name !== leftOut) {
      const normal = normaliseText(input);
      checks.equal(name, expected.normalised, normal);
      checks.equal(`${name}, SHA-256`, expected.utf8_sha256, sha256(normal));
    }
  }
  const { payload } = plain;
  for (const { name, input, error } of vectors.texts.refused) {
    const refused = await checks.refused(name, Code.InvalidArgument, send({ ...payload, task: input }));
    checks.equal(`${name}, reason`, error.reason, failureOf(refused).reason);
  }
  for (const { name, input, expected } of vectors.payloads.accepted) {
    checks.equal(`${name}, canonical form`, expected.canonical, canonicalPayload(payloadOf(input)));
    checks.equal(`${name}, payload_hash`, expected.payload_hash, payloadHash(payloadOf(input)));
    const { receipt } = await send(input);
    checks.equal(`${name}, payload_hash of the receipt`, expected.payload_hash, receipt?.payloadHash);
  }
  for (const { name, input, error } of vectors.payloads.refused) {
    const refused = await checks.refused(name, Code.InvalidArgument, send(input));
    checks.equal(`${name}, reason`, error.reason, failureOf(refused).reason);
  }
  return leftOut === undefined ? undefined : `NFC of Unicode ${unicode}: ${leftOut} left out`;
};
