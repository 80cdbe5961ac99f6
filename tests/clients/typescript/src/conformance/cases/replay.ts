/** The case `replay`: what was rendered is recorded, and comes out the same again. */

import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  DerivedPayloadSchema,
  ReplayCause,
  ReplayVerdict,
  type AuditRecord,
  type DerivedPayload,
  type ReplayResult,
} from "@pecia/client";
import { setTimeout as sleep } from "node:timers/promises";

import { canonicalPayload } from "../../canonical/payload.js";
import { sha256 } from "../../canonical/text.js";
import { failureOf } from "../../client/failure.js";
import { byVersion, examplePayload, renderOf, type Case, type Context } from "../context.js";

const POLL_MS = 100;
const PATIENCE_MS = 20_000;

export const replay: Case = async (context, checks) => {
  const { prompts } = context.pecia;
  const payload = examplePayload(context);
  const { prompt, receipt } = await prompts.render(renderOf(byVersion(context), payload));
  if (receipt === undefined) {
    throw new Error("the render has no receipt");
  }
  const promptHash = sha256(prompt);

  const record = await untilRecorded(context, receipt.renderId);
  checks.equal("record, prompt_hash", promptHash, record?.receipt?.promptHash);
  checks.equal("record, prompt", prompt, record?.prompt);
  checks.equal(
    "record, canonical payload",
    canonicalPayload(payload),
    Buffer.from(record?.canonicalPayload ?? []).toString("utf8"),
  );

  const byId = (await prompts.replay({ subject: { case: "renderId", value: receipt.renderId } })).result;
  checks.equal("replay by render_id, verdict", "MATCH", verdict(byId));
  checks.equal("replay by render_id, recorded hash", promptHash, byId?.recordedPromptHash);
  checks.equal("replay by render_id, replayed hash", promptHash, byId?.replayedPromptHash);

  const claim = async (claimed: DerivedPayload): Promise<ReplayResult | undefined> =>
    (await prompts.replay({ subject: { case: "claim", value: { receipt, payload: claimed } } })).result;
  const byClaim = await claim(payload);
  checks.equal("replay by claim, verdict", "MATCH", verdict(byClaim));
  checks.equal("replay by claim, replayed hash", promptHash, byClaim?.replayedPromptHash);

  const another = create(DerivedPayloadSchema, { ...payload, task: `${payload.task}!` });
  const mismatch = await claim(another);
  checks.equal("replay of another payload, verdict", "MISMATCH", verdict(mismatch));
  checks.equal(
    "replay of another payload, first cause",
    "PAYLOAD",
    ReplayCause[mismatch?.findings[0]?.cause ?? ReplayCause.UNSPECIFIED],
  );
  return undefined;
};

/** Reads a record, which is on its way to the database for a moment after the render was answered. */
async function untilRecorded({ pecia }: Context, renderId: string): Promise<AuditRecord | undefined> {
  for (const end = performance.now() + PATIENCE_MS; ; await sleep(POLL_MS)) {
    try {
      return (await pecia.prompts.getAuditRecord({ renderId })).record;
    } catch (error) {
      const { code } = failureOf(error);
      if ((code !== Code.Unavailable && code !== Code.NotFound) || performance.now() >= end) {
        throw error;
      }
    }
  }
}

function verdict(result: ReplayResult | undefined): string | undefined {
  return ReplayVerdict[result?.verdict ?? ReplayVerdict.UNSPECIFIED];
}
