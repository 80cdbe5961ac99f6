/** The conformance program: runs the cases of tests/clients/README.md against a server, one JSON line for each. */

import { parseArgs } from "node:util";

import { connect } from "../client/connect.js";
import { batch } from "./cases/batch.js";
import { canonical } from "./cases/canonical.js";
import { deadline } from "./cases/deadline.js";
import { error } from "./cases/error.js";
import { label } from "./cases/label.js";
import { payloadHashes } from "./cases/payload_hash.js";
import { publish } from "./cases/publish.js";
import { render } from "./cases/render.js";
import { replay } from "./cases/replay.js";
import { stream } from "./cases/stream.js";
import { Checks } from "./checks.js";
import type { Case, Context } from "./context.js";
import { readVectors } from "./vectors.js";

const TIMEOUT_MS = 20_000;

const CASES: readonly (readonly [name: string, run: Case])[] = [
  ["canonical", canonical],
  ["payload_hash", payloadHashes],
  ["publish", publish],
  ["label", label],
  ["render", render],
  ["batch", batch],
  ["stream", stream],
  ["replay", replay],
  ["error", error],
  ["deadline", deadline],
];

async function main(): Promise<void> {
  const { target, vectors, prefix } = readArguments();
  const pecia = connect({ baseUrl: `http://${target}`, timeoutMs: TIMEOUT_MS, maxAttempts: 1 });
  try {
    const context: Context = { pecia, vectors: readVectors(vectors), prefix };
    for (const [name, run] of CASES) {
      if (!(await report(name, run, context))) {
        process.exitCode = 1;
      }
    }
  } finally {
    pecia.close();
  }
}

function readArguments(): { target: string; vectors: string; prefix: string } {
  const { target, vectors, prefix } = parseArgs({
    options: { target: { type: "string" }, vectors: { type: "string" }, prefix: { type: "string" } },
  }).values;
  if (target === undefined || vectors === undefined || prefix === undefined) {
    throw new Error("usage: conformance --target HOST:PORT --vectors FOLDER --prefix PREFIX");
  }
  return { target, vectors, prefix };
}

/** Runs one case, prints its line, and says whether it passed. */
async function report(name: string, run: Case, context: Context): Promise<boolean> {
  const checks = new Checks();
  let outcome = "passed";
  let detail: string;
  try {
    detail = (await run(context, checks)) ?? "";
  } catch (reason) {
    outcome = "failed";
    detail = String(reason);
  }
  process.stdout.write(`${JSON.stringify({ case: name, outcome, checks: checks.count, detail })}\n`);
  return outcome === "passed";
}

await main();
