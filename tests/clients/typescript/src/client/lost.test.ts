/** A connection that breaks under a call makes it UNAVAILABLE, and a call that may be repeated is. */

import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { PromptService, RenderStreamRequestSchema, type RenderStreamRequest } from "@pecia/client";
import assert from "node:assert/strict";
import { constants, createServer, type Http2ServerRequest, type Http2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { connect, type Connection } from "./connect.js";
import { failureOf } from "./failure.js";

type Breakage = (request: Http2ServerRequest) => void;

const closeConnection: Breakage = (request) => request.stream.session?.destroy();
const refuseStream: Breakage = (request) => request.stream.close(constants.NGHTTP2_REFUSED_STREAM);
const cancelStream: Breakage = (request) => request.stream.close(constants.NGHTTP2_CANCEL);

/**
 * Uses a client of a server that breaks its first calls in these ways, and answers those that follow.
 *
 * What uses it can also have all connections closed.
 */
async function withServer(
  breakages: readonly Breakage[],
  use: (pecia: Connection, closeAll: () => void) => Promise<void>,
  maxAttempts: number,
): Promise<void> {
  const left = [...breakages];
  const sessions = new Set<Http2Session>();
  const answer = connectNodeAdapter({
    routes: ({ service }) => {
      service(PromptService, {
        render: () => ({ prompt: "Hello." }),
        renderStream: async function* (requests) {
          for await (const { correlationId } of requests) {
            yield { correlationId };
          }
        },
      });
    },
  });
  const server = createServer((request, response) => {
    const breakage = left.shift();
    if (breakage === undefined) {
      answer(request, response);
    } else {
      breakage(request);
    }
  });
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const closeAll = (): void => sessions.forEach((session) => session.destroy());
  const { port } = server.address() as AddressInfo;
  const pecia = connect({ baseUrl: `http://127.0.0.1:${port}`, maxAttempts });
  try {
    await use(pecia, closeAll);
  } finally {
    pecia.close();
    closeAll();
    await new Promise((resolve) => server.close(resolve));
  }
}

for (const [what, breakage] of Object.entries({ closeConnection, refuseStream, cancelStream })) {
  test(`a call that meets ${what} is unavailable`, () =>
    withServer(
      [breakage],
      async ({ prompts }) => {
        const failure = await prompts.render({}).then(() => undefined, failureOf);
        assert.equal(failure?.code, Code.Unavailable);
      },
      1,
    ));

  test(`a call that meets ${what} is tried again`, () =>
    withServer(
      [breakage],
      async ({ prompts }) => {
        assert.equal((await prompts.render({})).prompt, "Hello.");
      },
      4,
    ));
}

test("a stream whose connection breaks is unavailable", () =>
  withServer(
    [],
    async ({ prompts }, closeAll) => {
      const call = drain(prompts.renderStream(oneAndNoMore()), closeAll);
      const failure = await call.then(() => undefined, failureOf);
      assert.equal(failure?.code, Code.Unavailable);
    },
    1,
  ));

test("a call that is aborted keeps its status", () =>
  withServer(
    [() => undefined],
    async ({ prompts }) => {
      const call = prompts.render({}, { signal: AbortSignal.timeout(50) });
      const failure = await call.then(() => undefined, failureOf);
      assert.equal(failure?.code, Code.Canceled);
    },
    4,
  ));

test("a call whose deadline passes keeps its status", () =>
  withServer(
    [() => undefined],
    async ({ prompts }) => {
      const failure = await prompts.render({}, { timeoutMs: 50 }).then(() => undefined, failureOf);
      assert.equal(failure?.code, Code.DeadlineExceeded);
    },
    4,
  ));

async function* oneAndNoMore(): AsyncGenerator<RenderStreamRequest> {
  yield create(RenderStreamRequestSchema, { correlationId: "1" });
  await new Promise(() => undefined);
}

async function drain(answers: AsyncIterable<unknown>, afterEach: () => void): Promise<void> {
  for await (const _ of answers) {
    afterEach();
  }
}
