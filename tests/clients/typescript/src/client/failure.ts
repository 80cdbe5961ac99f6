/** Reads what an error of the service says beyond its status: the reason, its metadata, the fields at fault. */

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorReason, type RenderError } from "@pecia/client";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@pecia/client/google/rpc";

/** The domain of every `google.rpc.ErrorInfo` that the service sends. */
const DOMAIN = "pecia";

/** The name of a reason, such as `BUNDLE_NOT_FOUND`. */
export type Reason = keyof typeof ErrorReason;

/** Why a call failed, or one render of several. */
export interface Failure {
  /** The gRPC status. */
  readonly code: Code;

  /** One sentence for people. */
  readonly message: string;

  /**
   * The reason, or undefined when the error is not Pecia's own: no connection, deadline exceeded, cancelled.
   *
   * A server newer than this package may name a reason that is not in the type.
   */
  readonly reason: Reason | undefined;

  /** Names, paths, limits and sizes that belong to the reason. */
  readonly metadata: Readonly<Record<string, string>>;

  /** Paths of fields, and what is wrong with each. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];

  /** Milliseconds after which a retry makes sense, or undefined where the server does not say. */
  readonly retryAfterMs: number | undefined;
}

/** Reads the error that a call was rejected with; any other error becomes one of code UNKNOWN. */
export function failureOf(error: unknown): Failure {
  const failed = ConnectError.from(error);
  const info = failed.findDetails(ErrorInfoSchema).find(({ domain }) => domain === DOMAIN);
  const delay = failed.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: failed.code,
    message: failed.rawMessage,
    reason: info?.reason as Reason | undefined,
    metadata: info?.metadata ?? {},
    violations: failed.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations),
    retryAfterMs: delay === undefined ? undefined : durationMs(delay),
  };
}

/** Reads the error of one outcome of RenderBatch or RenderStream, which is a message and is not thrown. */
export function failureOfOutcome(error: RenderError): Failure {
  return {
    code: error.code,
    message: error.message,
    reason: ErrorReason[error.reason] as Reason | undefined,
    metadata: error.metadata,
    violations: error.fieldViolations,
    retryAfterMs: error.retryDelay === undefined ? undefined : durationMs(error.retryDelay),
  };
}
