/** Canonical JSON of RFC 8785, which every hash of Pecia is made of. */

import type { JsonValue } from "@bufbuild/protobuf";

/**
 * Writes a JSON value in its canonical form.
 *
 * The RFC took its number form and its escapes from ECMAScript, so `JSON.stringify` writes scalars. Keys are
 * ordered by UTF-16 code units, which is how JavaScript compares strings; an object's own order is not theirs,
 * because keys that look like integers come first in it.
 *
 * @throws RangeError for what JSON cannot hold: NaN, an infinity, a lone surrogate.
 */
export function canonicalJson(value: JsonValue): string {
  switch (typeof value) {
    case "number":
      if (!Number.isFinite(value)) {
        throw new RangeError(`${value} has no JSON form`);
      }
      return JSON.stringify(value);
    case "string":
      if (!value.isWellFormed()) {
        throw new RangeError("a text with a lone surrogate has no UTF-8 form");
      }
      return JSON.stringify(value);
    case "boolean":
      return JSON.stringify(value);
    case "object":
      if (value === null) {
        return "null";
      }
      if (Array.isArray(value)) {
        return `[${value.map(canonicalJson).join(",")}]`;
      }
      return `{${Object.entries(value)
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([key, item]) => `${canonicalJson(key)}:${canonicalJson(item)}`)
        .join(",")}}`;
  }
}
