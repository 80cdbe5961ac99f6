/** How the service normalises texts before it hashes or renders them, and how it hashes. */

import { createHash } from "node:crypto";

/** Returns the lower-case hex SHA-256 of a text's UTF-8. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/**
 * Drops leading U+FEFF, makes CRLF and CR to LF, and composes (NFC).
 *
 * The service composes by Unicode 18, this by the version of the runtime (`process.versions.unicode`). They differ
 * only for characters that the runtime's version does not have yet.
 *
 * @throws RangeError for what the service refuses as TEXT_INVALID: U+0000 or a lone surrogate.
 */
export function normaliseText(text: string): string {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new RangeError("a text must not hold U+0000 or a lone surrogate");
  }
  return text.replace(/^\uFEFF+/, "").replace(/\r\n?/g, "\n").normalize("NFC");
}
