/** What has no canonical form is refused; what has one is in the golden vectors. */

import { create } from "@bufbuild/protobuf";
import { DerivedPayloadSchema, type DerivedPayload } from "@pecia/client";
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { canonicalJson } from "./json.js";
import { canonicalPayload } from "./payload.js";

const LONE_SURROGATE = "\ud800";

function payload(fields: Partial<DerivedPayload>): DerivedPayload {
  return create(DerivedPayloadSchema, { semanticTraits: {}, activityLevel: 0, stress: 0, task: "", ...fields });
}

for (const value of [Number.NaN, Number.POSITIVE_INFINITY, LONE_SURROGATE, { [LONE_SURROGATE]: 1 }]) {
  test(`${inspect(value)} has no canonical form`, () => {
    assert.throws(() => canonicalJson(value), RangeError);
  });
}

test("a payload without one of its fields has no hash", () => {
  const { stress, ...others } = payload({});
  assert.equal(stress, 0);
  assert.throws(() => canonicalPayload(others), RangeError);
});

test("two keys that become equal are refused", () => {
  assert.throws(() => canonicalPayload(payload({ semanticTraits: { "A\u030a": 1, "\u00c5": 2 } })), RangeError);
});

test("U+0000 is refused, in a key too", () => {
  assert.throws(() => canonicalPayload(payload({ task: "\0" })), RangeError);
  assert.throws(() => canonicalPayload(payload({ semanticTraits: { "\0": 1 } })), RangeError);
});

test("a key named like a property of every object is a key", () => {
  const traits = JSON.parse('{"__proto__": 1}') as { [key: string]: number };
  assert.equal(
    canonicalPayload(payload({ semanticTraits: traits })),
    '{"activity_level":0,"semantic_traits":{"__proto__":1},"stress":0,"task":""}',
  );
});
