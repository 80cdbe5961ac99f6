/** The canonical form of a payload and its hash, as documented at `DerivedPayload` in the contract. */

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { DerivedPayload } from "@pecia/client";

import { canonicalJson } from "./json.js";
import { normaliseText, sha256 } from "./text.js";

/** The fields of a payload; a message of type `DerivedPayload` is one. */
export type Payload = Pick<DerivedPayload, "semanticTraits" | "activityLevel" | "stress" | "task">;

/**
 * Returns the bytes, as text, that `payload_hash` is the SHA-256 of.
 *
 * @throws RangeError for a missing field, a text that is not valid, and two keys that become equal.
 */
export function canonicalPayload(payload: Payload): string {
  return canonicalJson(
    normalise({
      activity_level: required(payload.activityLevel, "activity_level"),
      semantic_traits: required(payload.semanticTraits, "semantic_traits"),
      stress: required(payload.stress, "stress"),
      task: required(payload.task, "task"),
    }),
  );
}

/**
 * Returns the `payload_hash` that the receipt of a render must have.
 *
 * @throws RangeError as `canonicalPayload` does.
 */
export function payloadHash(payload: Payload): string {
  return sha256(canonicalPayload(payload));
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) {
    throw new RangeError(`payload.${field} is missing`);
  }
  return value;
}

function normalise(value: JsonValue): JsonValue {
  if (typeof value === "string") {
    return normaliseText(value);
  }
  if (Array.isArray(value)) {
    return value.map(normalise);
  }
  if (typeof value === "object" && value !== null) {
    return normaliseObject(value);
  }
  return value;
}

function normaliseObject(object: JsonObject): JsonObject {
  const entries = Object.entries(object).map(([key, item]) => [normaliseText(key), normalise(item)] as const);
  if (new Set(entries.map(([key]) => key)).size < entries.length) {
    throw new RangeError("two keys of one object are equal after normalisation");
  }
  return Object.fromEntries(entries);
}
