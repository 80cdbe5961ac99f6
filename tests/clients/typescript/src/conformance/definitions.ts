/** Makes messages of the contract from what the golden vectors hold. */

import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import {
  BundleDefinitionSchema,
  ConstraintsSchema,
  DerivedPayloadSchema,
  InlineBundleSchema,
  Role,
  TemplateDefinitionSchema,
  type BundleDefinition,
  type Constraints,
  type DerivedPayload,
  type InlineBundle,
  type TemplateDefinition,
} from "@pecia/client";

import type { GivenBundle, GivenPayload, GivenReference, GivenRender, GivenTemplate } from "./vectors.js";

const ROLES = { system: Role.SYSTEM, developer: Role.DEVELOPER, user: Role.USER } as const;

/** Makes a payload; a field that is not given stays unset. */
export function payloadOf(given: GivenPayload): DerivedPayload {
  return create(DerivedPayloadSchema, {
    ...(given.semantic_traits !== undefined && { semanticTraits: given.semantic_traits }),
    ...(given.activity_level !== undefined && { activityLevel: given.activity_level }),
    ...(given.stress !== undefined && { stress: given.stress }),
    ...(given.task !== undefined && { task: given.task }),
  });
}

/** Makes a template. */
export function templateOf(given: GivenTemplate): TemplateDefinition {
  return create(TemplateDefinitionSchema, {
    templateId: given.template_id,
    semver: given.semver,
    role: ROLES[given.role],
    content: given.content,
    constraints: constraintsOf(given.constraints ?? {}),
    adapterVersion: given.adapter_version ?? "",
    description: given.description ?? "",
  });
}

/** Makes a bundle. */
export function bundleOf(given: GivenBundle): BundleDefinition {
  const { system, personality, activity, task } = given.slots;
  return create(BundleDefinitionSchema, {
    bundleId: given.bundle_id,
    semver: given.semver,
    slots: {
      system: referenceOf(system),
      personality: referenceOf(personality),
      activity: referenceOf(activity),
      task: referenceOf(task),
    },
    tags: [...(given.tags ?? [])],
    description: given.description ?? "",
  });
}

/** Makes a bundle that comes with its templates. */
export function inlineBundleOf(given: Pick<GivenRender, "bundle" | "templates">): InlineBundle {
  return create(InlineBundleSchema, {
    bundle: bundleOf(given.bundle),
    templates: given.templates.map(templateOf),
  });
}

function referenceOf(given: GivenReference): { templateId: string; semver: string } {
  return { templateId: given.template_id, semver: given.semver };
}

/** Puts the five canonical keys into their fields, and all others into `further`. */
function constraintsOf(given: JsonObject): Constraints {
  const { FORBIDDEN_TOKENS, MAX_SENTENCE_LENGTH, MAX_PARAGRAPHS, NO_EMOJI, ASSERTIVENESS_LEVEL, ...further } = given;
  return create(ConstraintsSchema, {
    forbiddenTokens: isSet(FORBIDDEN_TOKENS) ? (FORBIDDEN_TOKENS as string[]) : [],
    ...(isSet(MAX_SENTENCE_LENGTH) && { maxSentenceLength: MAX_SENTENCE_LENGTH as number }),
    ...(isSet(MAX_PARAGRAPHS) && { maxParagraphs: MAX_PARAGRAPHS as number }),
    ...(isSet(NO_EMOJI) && { noEmoji: NO_EMOJI as boolean }),
    ...(isSet(ASSERTIVENESS_LEVEL) && { assertivenessLevel: ASSERTIVENESS_LEVEL as number }),
    ...(Object.keys(further).length > 0 && { further }),
  });
}

function isSet(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null;
}
