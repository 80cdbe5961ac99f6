package io.pecia.conformance;

/** A comparison that came out wrong, or something that a case needs and does not have. */
final class CheckFailure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    CheckFailure(String message) {
        super(message);
    }
}
