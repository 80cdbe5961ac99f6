/** Comparisons of a case: counted, and ended by the first that fails. */

import { Code, ConnectError } from "@connectrpc/connect";
import { inspect, isDeepStrictEqual } from "node:util";

/** A comparison failed; the message says where, what was expected and what was found. */
export class CheckFailed extends Error {
  override readonly name = "CheckFailed";
}

/** The comparisons that one case has made. */
export class Checks {
  #count = 0;

  /** How many there were, the failing one included. */
  get count(): number {
    return this.#count;
  }

  /**
   * Compares two values of any type, all the way down.
   *
   * @throws CheckFailed if they differ.
   */
  equal<T>(where: string, expected: T, found: T): void {
    if (!isDeepStrictEqual(found, expected)) {
      this.fail(where, show(expected), show(found));
    }
    this.#count += 1;
  }

  /**
   * Counts a comparison that the caller has seen fail.
   *
   * @throws CheckFailed always.
   */
  fail(where: string, expected: string, found: string): never {
    this.#count += 1;
    throw new CheckFailed(`${where}: expected ${expected}, found ${found}`);
  }

  /**
   * Waits for a call that must be refused, and checks its status.
   *
   * @returns the error, for what else has to be checked of it.
   * @throws CheckFailed if the call is answered, or has another status.
   */
  async refused(where: string, expected: Code, call: Promise<unknown>): Promise<ConnectError> {
    try {
      await call;
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (error.code !== expected) {
        return this.fail(where, Code[expected], `${Code[error.code]}: ${error.rawMessage}`);
      }
      this.#count += 1;
      return error;
    }
    return this.fail(where, Code[expected], "an answer");
  }
}

/** Writes all but ASCII as `\uXXXX`, because texts that differ only before normalisation look alike. */
function show(value: unknown): string {
  return inspect(value, { breakLength: Infinity, depth: 6, maxStringLength: 300 }).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
