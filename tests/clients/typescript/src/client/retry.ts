/** Tries calls again that found the server unavailable. Connect has no service config that would do it. */

import { durationMs, MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { RetryInfoSchema } from "@pecia/client/google/rpc";
import { setTimeout as sleep } from "node:timers/promises";

/** How to retry; the defaults are those of Pecia's clients in other languages. */
export interface RetryOptions {
  /** Calls in all, the first included. */
  readonly maxAttempts?: number;

  /** Longest wait before the second attempt, in milliseconds. It doubles for each that follows. */
  readonly initialBackoffMs?: number;

  /** Where doubling ends, in milliseconds. */
  readonly maxBackoffMs?: number;

  /** Resolves after so many milliseconds, or rejects when the signal is aborted. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;

  /** From 0 to 1: which part of the longest wait to take, so that clients don't all come back at once. */
  readonly jitter?: () => number;
}

/**
 * Makes an interceptor that repeats a unary call while it ends with UNAVAILABLE.
 *
 * It waits as long as the server asks in `google.rpc.RetryInfo`, or longer. Only methods are repeated whose
 * `idempotency_level` says that they may be, which in `pecia.v1` all do. All attempts share the call's deadline.
 * Give each change of a label a `requestId`, so that a later attempt answers what the first has done.
 */
export function retryUnavailable(options: RetryOptions = {}): Interceptor {
  const {
    maxAttempts = 4,
    initialBackoffMs = 100,
    maxBackoffMs = 2_000,
    wait = (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    jitter = Math.random,
  } = options;
  return (next) => async (request) => {
    if (request.stream || request.method.idempotency === IdempotencyLevel.IDEMPOTENCY_UNKNOWN) {
      return next(request);
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await next(request);
      } catch (reason) {
        const error = ConnectError.from(reason);
        if (error.code !== Code.Unavailable || attempt >= maxAttempts) {
          throw error;
        }
        const longest = Math.min(initialBackoffMs * 2 ** (attempt - 1), maxBackoffMs);
        await wait(Math.max(longest * jitter(), askedDelayMs(error)), request.signal);
      }
    }
  };
}

function askedDelayMs(error: ConnectError): number {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? 0 : durationMs(delay);
}
