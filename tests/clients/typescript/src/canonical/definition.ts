/**
 * The hashes of templates and bundles, as documented in `template.proto` and `bundle.proto` of the contract.
 *
 * Texts are normalised as the service does. Constraints and tags are taken as they are: give definitions that the
 * service has answered, in which they are normalised, or such as have none.
 */

import type { JsonObject } from "@bufbuild/protobuf";
import {
  Role,
  type BundleDefinition,
  type BundleSlots,
  type Constraints,
  type TemplateDefinition,
  type TemplateRef,
} from "@pecia/client";

import { canonicalJson } from "./json.js";
import { normaliseText, sha256 } from "./text.js";

const SLOTS = ["system", "personality", "activity", "task"] as const satisfies (keyof BundleSlots)[];

/** Returns `content_hash`. */
export function contentHash(template: TemplateDefinition): string {
  return sha256(normaliseContent(template.content));
}

/** Returns `constraints_hash`. */
export function constraintsHash(template: TemplateDefinition): string {
  return sha256(canonicalJson(constraintsObject(template.constraints)));
}

/** Returns a template's `definition_hash`. */
export function templateDefinitionHash(template: TemplateDefinition): string {
  return sha256(
    canonicalJson({
      adapter_version: normaliseText(template.adapterVersion),
      constraints: constraintsObject(template.constraints),
      content: normaliseContent(template.content),
      description: normaliseText(template.description),
      format: "pecia.template-definition.v1",
      role: roleName(template.role),
      semver: template.semver,
      template_id: template.templateId,
    }),
  );
}

/** Returns a bundle's `definition_hash`. */
export function bundleDefinitionHash(bundle: BundleDefinition): string {
  return sha256(
    canonicalJson({
      bundle_id: bundle.bundleId,
      description: normaliseText(bundle.description),
      format: "pecia.bundle-definition.v1",
      semver: bundle.semver,
      slots: slotsObject(bundle, ({ templateId, semver }) => ({ semver, template_id: templateId })),
      tags: bundle.tags,
    }),
  );
}

/**
 * Returns `bundle_hash`, the identity of what is rendered.
 *
 * @throws RangeError if a slot's template is not among the templates.
 */
export function bundleHash(bundle: BundleDefinition, templates: readonly TemplateDefinition[]): string {
  const describe = (ref: TemplateRef): JsonObject => {
    const template = templates.find(
      ({ templateId, semver }) => templateId === ref.templateId && semver === ref.semver,
    );
    if (template === undefined) {
      throw new RangeError(`there is no template ${ref.templateId} ${ref.semver}`);
    }
    return {
      constraints_hash: constraintsHash(template),
      content_hash: contentHash(template),
      role: roleName(template.role),
      semver: template.semver,
      template_id: template.templateId,
    };
  };
  return sha256(
    canonicalJson({
      bundle_id: bundle.bundleId,
      format: "pecia.bundle.v1",
      semver: bundle.semver,
      slots: slotsObject(bundle, describe),
    }),
  );
}

function normaliseContent(content: string): string {
  return normaliseText(content).replace(/\n+$/, "");
}

function roleName(role: Role): string {
  return (Role[role] ?? "").toLowerCase();
}

/** Leaves out what is unset, as the canonical form does. */
function constraintsObject(constraints: Constraints | undefined): JsonObject {
  if (constraints === undefined) {
    return {};
  }
  const { forbiddenTokens, maxSentenceLength, maxParagraphs, noEmoji, assertivenessLevel, further } = constraints;
  return {
    ...further,
    ...(forbiddenTokens.length > 0 && { FORBIDDEN_TOKENS: forbiddenTokens }),
    ...(maxSentenceLength !== undefined && { MAX_SENTENCE_LENGTH: maxSentenceLength }),
    ...(maxParagraphs !== undefined && { MAX_PARAGRAPHS: maxParagraphs }),
    ...(noEmoji === true && { NO_EMOJI: true }),
    ...(assertivenessLevel !== undefined && { ASSERTIVENESS_LEVEL: assertivenessLevel }),
  };
}

function slotsObject(bundle: BundleDefinition, describe: (ref: TemplateRef) => JsonObject): JsonObject {
  return Object.fromEntries(
    SLOTS.map((slot) => {
      const ref = bundle.slots?.[slot];
      if (ref === undefined) {
        throw new RangeError(`the bundle has no template in the slot ${slot}`);
      }
      return [slot, describe(ref)];
    }),
  );
}
