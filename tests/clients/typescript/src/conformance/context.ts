/** What the cases work with, and the requests that several of them send. */

import { create } from "@bufbuild/protobuf";
import {
  BundleRefSchema,
  RenderRequestSchema,
  type BundleDefinition,
  type BundleRef,
  type DerivedPayload,
  type RenderRequest,
} from "@pecia/client";

import type { Connection } from "../client/connect.js";
import type { Checks } from "./checks.js";
import { payloadOf } from "./definitions.js";
import { named, type GivenPayload, type Vectors } from "./vectors.js";

/** The server, the vectors, and what the case `publish` has left for those after it. */
export interface Context {
  readonly pecia: Connection;
  readonly vectors: Vectors;

  /** What every published id begins with. */
  readonly prefix: string;

  /** The bundle of version 1.0.0, once it is published. */
  published?: BundleDefinition;
}

/** A case; it returns a note for the detail, or nothing. */
export type Case = (context: Context, checks: Checks) => Promise<string | undefined>;

/** Returns the published bundle; fails the case when there is none. */
export function publishedBundle({ published }: Context): BundleDefinition {
  if (published === undefined) {
    throw new Error("it needs the bundle that the case publish did not publish");
  }
  return published;
}

/** Names version 1.0.0 of the published bundle. */
export function byVersion(context: Context): BundleRef {
  const { bundleId, semver } = publishedBundle(context);
  return create(BundleRefSchema, { bundleId, selector: { case: "semver", value: semver } });
}

/** Names what a label of the published bundle points to. */
export function byLabel(context: Context, label: string): BundleRef {
  const { bundleId } = publishedBundle(context);
  return create(BundleRefSchema, { bundleId, selector: { case: "label", value: label } });
}

/** Makes the payload that the published bundle is rendered with, as given by the vector or with another task. */
export function examplePayload({ vectors }: Context, task?: string): DerivedPayload {
  const given: GivenPayload = named(vectors.renders, "text_and_json").input.payload;
  return payloadOf(task === undefined ? given : { ...given, task });
}

/** Makes the request that renders a published bundle. */
export function renderOf(bundle: BundleRef, payload: DerivedPayload): RenderRequest {
  return create(RenderRequestSchema, { source: { case: "bundle", value: bundle }, payload });
}
