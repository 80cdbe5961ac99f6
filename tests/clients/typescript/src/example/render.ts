/** Renders what the label `production` of the bundle `companion` points to. */

import { connect } from "../client/connect.js";
import { failureOf } from "../client/failure.js";

const pecia = connect({ baseUrl: "http://127.0.0.1:50051" });
try {
  const { prompt, receipt } = await pecia.prompts.render(
    {
      source: {
        case: "bundle",
        value: { bundleId: "companion", selector: { case: "label", value: "production" } },
      },
      payload: {
        semanticTraits: { mood: "calm", person: { name: "Mara", interests: "ferns" } },
        activityLevel: 0.2,
        stress: 0.1,
        task: "Plan the day.",
      },
    },
    { timeoutMs: 2_000 },
  );
  console.log(prompt);
  console.log("prompt_hash", receipt?.promptHash);
} catch (error) {
  const failure = failureOf(error);
  if (failure.reason !== "LABEL_NOT_FOUND") {
    throw error;
  }
  console.error("nothing is in production yet:", failure.metadata);
  process.exitCode = 1;
} finally {
  pecia.close();
}
