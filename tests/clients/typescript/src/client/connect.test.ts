/** What a connection refuses, and what it says when there is no server. */

import { Code } from "@connectrpc/connect";
import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";

import { connect } from "./connect.js";
import { failureOf } from "./failure.js";

test("an API key is not sent without TLS", () => {
  assert.throws(() => connect({ baseUrl: "http://127.0.0.1:50051", apiKey: "key" }), TypeError);
});

test("an address where nothing listens is unavailable, without a reason of Pecia's", async () => {
  const pecia = connect({ baseUrl: `http://127.0.0.1:${await freePort()}`, maxAttempts: 1 });
  try {
    const failure = await pecia.prompts.render({}).then(() => undefined, failureOf);
    assert.deepEqual([failure?.code, failure?.reason], [Code.Unavailable, undefined]);
  } finally {
    pecia.close();
  }
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
