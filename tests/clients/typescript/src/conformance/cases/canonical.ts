/** The case `canonical`: RFC 8785, without the server. */

import type { JsonValue } from "@bufbuild/protobuf";

import { canonicalJson } from "../../canonical/json.js";
import { sha256 } from "../../canonical/text.js";
import type { Case } from "../context.js";

export const canonical: Case = async ({ vectors }, checks) => {
  for (const { name, input, expected } of vectors.values.accepted) {
    const written = canonicalJson(JSON.parse(input) as JsonValue);
    checks.equal(name, expected.canonical, written);
    checks.equal(`${name}, SHA-256`, expected.sha256, sha256(written));
  }
  for (const { name, input, expected } of vectors.numbers.accepted) {
    checks.equal(name, expected.canonical, canonicalJson(Buffer.from(input, "hex").readDoubleBE()));
  }
  return undefined;
};
