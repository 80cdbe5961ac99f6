/** The interceptor repeats what may be repeated, as often and as late as it should. */

import { durationFromMs, MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, createRouterTransport, type UnaryRequest } from "@connectrpc/connect";
import { AdminService, PromptService, RegistryService } from "@pecia/client";
import { RetryInfoSchema } from "@pecia/client/google/rpc";
import assert from "node:assert/strict";
import { test } from "node:test";

import { retryUnavailable } from "./retry.js";

interface Attempts {
  calls: number;
  readonly waits: number[];
  readonly prompt: Promise<string>;
}

/** Renders on a server that fails a number of times before it answers; waits are noted, and not waited. */
function renderOn(failures: number, error: ConnectError): Attempts {
  const waits: number[] = [];
  const attempts = { calls: 0, waits };
  const transport = createRouterTransport(
    ({ service }) => {
      service(PromptService, {
        render() {
          attempts.calls += 1;
          if (attempts.calls <= failures) {
            throw error;
          }
          return { prompt: "Hello." };
        },
      });
    },
    {
      transport: {
        interceptors: [
          retryUnavailable({
            wait: async (milliseconds) => {
              waits.push(milliseconds);
            },
            jitter: () => 1,
          }),
        ],
      },
    },
  );
  const prompt = createClient(PromptService, transport)
    .render({})
    .then((answer) => answer.prompt);
  return Object.assign(attempts, { prompt });
}

test("a call that finds the server unavailable is tried again", async () => {
  const attempts = renderOn(2, new ConnectError("away", Code.Unavailable));
  assert.equal(await attempts.prompt, "Hello.");
  assert.equal(attempts.calls, 3);
});

test("each wait is twice the one before", async () => {
  const attempts = renderOn(3, new ConnectError("away", Code.Unavailable));
  await attempts.prompt;
  assert.deepEqual(attempts.waits, [100, 200, 400]);
});

test("a server that stays away is given up after four attempts", async () => {
  const attempts = renderOn(9, new ConnectError("away", Code.Unavailable));
  await assert.rejects(attempts.prompt, { code: Code.Unavailable });
  assert.equal(attempts.calls, 4);
});

test("a wait is as long as the server asks for", async () => {
  const details = [{ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(1_500) } }];
  const attempts = renderOn(1, new ConnectError("away", Code.Unavailable, undefined, details));
  await attempts.prompt;
  assert.deepEqual(attempts.waits, [1_500]);
});

test("an error of another kind is not tried again", async () => {
  const attempts = renderOn(1, new ConnectError("no such bundle", Code.NotFound));
  await assert.rejects(attempts.prompt, { code: Code.NotFound });
  assert.equal(attempts.calls, 1);
});

test("a method that does not say that it may be repeated is not", async () => {
  let calls = 0;
  const call = retryUnavailable()(async () => {
    calls += 1;
    throw new ConnectError("away", Code.Unavailable);
  });
  const method = { ...PromptService.method.render, idempotency: IdempotencyLevel.IDEMPOTENCY_UNKNOWN };
  const request = { stream: false, method, signal: AbortSignal.timeout(10_000) };
  // The interceptor looks at nothing else of a request.
  await assert.rejects(call(request as unknown as UnaryRequest), { code: Code.Unavailable });
  assert.equal(calls, 1);
});

test("every method of the contract may be repeated", () => {
  const methods = [RegistryService, PromptService, AdminService].flatMap((service) => service.methods);
  const unknown = methods.filter(({ idempotency }) => idempotency === IdempotencyLevel.IDEMPOTENCY_UNKNOWN);
  assert.deepEqual(unknown, []);
});
