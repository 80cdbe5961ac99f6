/** Reads the golden vectors; tests/golden/README.md says what is in them. */

import type { JsonObject } from "@bufbuild/protobuf";
import type { Reason } from "../client/failure.js";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** An input and what it gives. */
export interface Accepted<Input, Expected> {
  readonly name: string;
  readonly input: Input;
  readonly expected: Expected;
}

/** An input and why it is refused. */
export interface Refused<Input> {
  readonly name: string;
  readonly input: Input;
  readonly error: { readonly reason: Reason };
}

/** Payload fields; one that is not there is missing. */
export interface GivenPayload {
  readonly semantic_traits?: JsonObject;
  readonly activity_level?: number;
  readonly stress?: number;
  readonly task?: string;
}

export type SlotName = "system" | "personality" | "activity" | "task";
export type RoleName = "system" | "developer" | "user";

export interface GivenReference {
  readonly template_id: string;
  readonly semver: string;
}

export interface GivenTemplate extends GivenReference {
  readonly role: RoleName;
  readonly content: string;
  readonly constraints?: JsonObject;
  readonly adapter_version?: string;
  readonly description?: string;
}

export interface GivenBundle {
  readonly bundle_id: string;
  readonly semver: string;
  readonly slots: Readonly<Record<SlotName, GivenReference>>;
  readonly tags?: readonly string[];
  readonly description?: string;
}

export interface GivenRender {
  readonly bundle: GivenBundle;
  readonly templates: readonly GivenTemplate[];
  readonly payload: GivenPayload;
}

export interface ExpectedRender {
  readonly prompt: string;
  readonly prompt_hash: string;
  readonly parts: readonly { readonly slot: SlotName; readonly role: RoleName; readonly text: string }[];
  readonly bundle_hash: string;
  readonly payload_hash: string;
  readonly renderer_version: string;
}

/** One list of vectors, in the order of the file. */
export interface VectorList<Input, Expected> {
  readonly accepted: readonly Accepted<Input, Expected>[];
  readonly refused: readonly Refused<Input>[];
}

/** All lists that the cases need. */
export interface Vectors {
  readonly values: VectorList<string, { canonical: string; sha256: string }>;
  readonly numbers: VectorList<string, { canonical: string }>;
  readonly texts: VectorList<string, { normalised: string; utf8_sha256: string }>;
  readonly payloads: VectorList<GivenPayload, { canonical: string; payload_hash: string }>;
  readonly renders: VectorList<GivenRender, ExpectedRender>;
}

/** Reads the vectors in a folder. */
export function readVectors(folder: string): Vectors {
  return {
    values: read(folder, "canonical_json", "values"),
    numbers: read(folder, "canonical_json", "numbers"),
    texts: read(folder, "text", "texts"),
    payloads: read(folder, "payloads", "payloads"),
    renders: read(folder, "renders", "renders"),
  };
}

/** Returns the vector of a name. */
export function named<Input, Expected>(list: VectorList<Input, Expected>, name: string): Accepted<Input, Expected> {
  const found = list.accepted.find((vector) => vector.name === name);
  if (found === undefined) {
    throw new Error(`there is no golden vector ${name}`);
  }
  return found;
}

/** The files are generated, and held to their form by tests of their own, so their types are taken for granted. */
function read<Input, Expected>(folder: string, file: string, list: string): VectorList<Input, Expected> {
  const lists = JSON.parse(readFileSync(join(folder, `${file}.json`), "utf8")) as Record<
    string,
    (Accepted<Input, Expected> | Refused<Input>)[] | undefined
  >;
  const vectors = lists[list];
  if (vectors === undefined) {
    throw new Error(`${file}.json has no list ${list}`);
  }
  return {
    accepted: vectors.filter((vector) => "expected" in vector),
    refused: vectors.filter((vector) => "error" in vector),
  };
}
