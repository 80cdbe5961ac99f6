/** Gives the errors of a lost connection the status that gRPC has for them, which Connect does not. */

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** What Node.js says of a connection that broke or cannot be made, and of a stream that went with it. */
const LOST = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ERR_HTTP2_GOAWAY_SESSION",
  "ERR_HTTP2_INVALID_SESSION",
  "ERR_HTTP2_INVALID_STREAM",
  "ERR_HTTP2_SESSION_ERROR",
  "ERR_HTTP2_STREAM_CANCEL",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ETIMEDOUT",
]);

/**
 * Turns what happens to a call when its connection is lost into UNAVAILABLE.
 *
 * Without it such calls end with ABORTED, INTERNAL, CANCELLED or even INVALID_ARGUMENT, which mean other things to
 * the service and are not tried again. A call that is aborted here, or whose deadline has passed, keeps its status.
 */
export const nameLostConnections: Interceptor = (next) => async (request) => {
  const named = (reason: unknown): unknown =>
    !request.signal.aborted && isLost(reason)
      ? new ConnectError(`connection lost: ${reason.rawMessage}`, Code.Unavailable, undefined, undefined, reason)
      : reason;
  async function* throughout<T>(answers: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* answers;
    } catch (reason) {
      throw named(reason);
    }
  }
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: throughout(response.message) } : response;
  } catch (reason) {
    throw named(reason);
  }
};

function isLost(reason: unknown): reason is ConnectError {
  if (!(reason instanceof ConnectError)) {
    return false;
  }
  // A server that goes away cancels the calls that it has not begun, and can leave an answer incomplete.
  const cutOff = reason.code === Code.Canceled || reason.rawMessage.startsWith("protocol error: incomplete");
  return cutOff || isLostStream(reason.cause);
}

function isLostStream(cause: unknown): boolean {
  if (!(cause instanceof Error) || !("code" in cause)) {
    return false;
  }
  // A stream that was opened while the server was closing the connection: it has not been looked at.
  const refused = cause.code === "ERR_HTTP2_STREAM_ERROR" && cause.message.includes("REFUSED_STREAM");
  return refused || LOST.has(String(cause.code));
}
