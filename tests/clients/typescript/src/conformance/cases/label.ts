/** The case `label`: a label is set, followed by a render, defended by its etag, moved, and remembered. */

import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { BundleDefinitionSchema, LabelAction } from "@pecia/client";

import { sha256 } from "../../canonical/text.js";
import { failureOf } from "../../client/failure.js";
import { byLabel, examplePayload, publishedBundle, renderOf, type Case } from "../context.js";

const LABEL = "production";
const NEXT = "1.1.0";

export const label: Case = async (context, checks) => {
  const { prompts, registry } = context.pecia;
  const bundle = publishedBundle(context);
  const { bundleId, semver } = bundle;
  const move = { bundleId, label: LABEL };
  const request = renderOf(byLabel(context, LABEL), examplePayload(context));

  const set = await registry.setLabel({ ...move, semver, etag: "" });
  checks.equal("set, semver", semver, set.label?.semver);

  const before = await prompts.render(request);
  checks.equal("render by label, semver", semver, before.receipt?.semver);
  checks.equal("render by label, prompt_hash", sha256(before.prompt), before.receipt?.promptHash);

  const refused = await checks.refused(
    "set with another etag",
    Code.Aborted,
    registry.setLabel({ ...move, semver, etag: "not-an-etag" }),
  );
  checks.equal("set with another etag, reason", "ETAG_MISMATCH", failureOf(refused).reason);

  await registry.publishBundle({ bundle: create(BundleDefinitionSchema, { ...bundle, semver: NEXT }) });
  const moved = await registry.setLabel({ ...move, semver: NEXT, etag: set.label?.etag ?? "" });
  checks.equal("moved, semver", NEXT, moved.label?.semver);
  checks.equal("moved, whether the etag is another", true, moved.label?.etag !== set.label?.etag);

  const after = await prompts.render(request);
  checks.equal("render by moved label, semver", NEXT, after.receipt?.semver);

  const { events } = await registry.listLabelEvents(move);
  const expected = [
    { revision: 2n, action: LabelAction.SET, fromSemver: semver, toSemver: NEXT },
    { revision: 1n, action: LabelAction.SET, fromSemver: "", toSemver: semver },
  ];
  for (const [place, event] of expected.entries()) {
    const where = `event ${place}`;
    checks.equal(`${where}, revision`, event.revision, events[place]?.revision);
    checks.equal(`${where}, action`, event.action, events[place]?.action);
    checks.equal(`${where}, from_semver`, event.fromSemver, events[place]?.fromSemver);
    checks.equal(`${where}, to_semver`, event.toSemver, events[place]?.toSemver);
  }
  checks.equal("number of events", expected.length, events.length);
  return undefined;
};
