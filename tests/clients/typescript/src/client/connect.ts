/**
 * Connects to a Pecia server: gRPC over one HTTP/2 connection, with the limits, deadlines and retries that the
 * contract asks for. Copy this folder.
 */

import { createClient, type Client, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService, PromptService, RegistryService } from "@pecia/client";
import type { SecureClientSessionOptions } from "node:http2";

import { nameLostConnections } from "./lost.js";
import { retryUnavailable } from "./retry.js";

/** Covers every default limit of the service. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** gRPC servers drop clients that ping more often than every five minutes. */
const PING_INTERVAL_MS = 330_000;
const PING_TIMEOUT_MS = 20_000;

/** Where a server is, and how to talk to it. */
export interface ConnectOptions {
  /** `http://HOST:PORT`, or `https://HOST:PORT` for TLS. */
  readonly baseUrl: string;

  /** What `pecia keys create` printed; goes over TLS only. */
  readonly apiKey?: string;

  /** Roots that vouch for the server (`ca`), and a client certificate (`cert`, `key`), in PEM. */
  readonly tls?: Pick<SecureClientSessionOptions, "ca" | "cert" | "key">;

  /** Milliseconds that a unary call may take with its retries, unless it has a `timeoutMs` of its own. */
  readonly timeoutMs?: number;

  /** How often a unary call is tried while the server is UNAVAILABLE; 1 means no retries. */
  readonly maxAttempts?: number;
}

/** The services of one server. Make one connection and share it: calls run beside each other on it. */
export interface Connection {
  readonly prompts: Client<typeof PromptService>;
  readonly registry: Client<typeof RegistryService>;
  readonly admin: Client<typeof AdminService>;

  /** Ends the connection and every call on it. Until then it keeps the process alive for some minutes. */
  close(): void;
}

/**
 * Sets up a connection, which is opened by the first call, and anew when it breaks.
 *
 * Unary calls have a deadline of 10 seconds and up to 4 attempts. Streams have neither, because only the caller
 * knows how long one may last and which of its requests were answered: give a stream a `timeoutMs` or a `signal`.
 * Leaving the loop over a stream's answers does not end the call, aborting its `signal` does.
 *
 * @throws TypeError if there is an API key, and `baseUrl` is not `https:`.
 */
export function connect(options: ConnectOptions): Connection {
  const { baseUrl, apiKey, tls = {}, timeoutMs = 10_000, maxAttempts = 4 } = options;
  if (apiKey !== undefined && new URL(baseUrl).protocol !== "https:") {
    throw new TypeError("an API key must go over TLS: let baseUrl begin with https:");
  }
  const session = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS },
    tls,
  );
  const interceptors = [retryUnavailable({ maxAttempts }), nameLostConnections];
  if (apiKey !== undefined) {
    interceptors.push(sendKey(apiKey));
  }
  const transport = withoutDeadlineForStreams(
    createGrpcTransport({
      baseUrl,
      sessionManager: session,
      interceptors,
      defaultTimeoutMs: timeoutMs,
      readMaxBytes: MAX_MESSAGE_BYTES,
      writeMaxBytes: MAX_MESSAGE_BYTES,
    }),
  );
  return {
    prompts: createClient(PromptService, transport),
    registry: createClient(RegistryService, transport),
    admin: createClient(AdminService, transport),
    close: () => session.abort(),
  };
}

function sendKey(apiKey: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${apiKey}`);
    return next(request);
  };
}

/** The default deadline of a transport is for streams too; 0 takes it off. */
function withoutDeadlineForStreams(transport: Transport): Transport {
  return {
    unary: transport.unary,
    stream: (method, signal, timeoutMs = 0, ...rest) => transport.stream(method, signal, timeoutMs, ...rest),
  };
}
