package io.pecia.conformance;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.pecia.toolkit.PeciaError;
import java.util.Objects;

/** Counts the comparisons of one case, and ends the case at the first that is wrong. */
final class Checks {
    private static final int SHOWN_CHARACTERS = 300;

    private int count;

    int count() {
        return count;
    }

    /** Compares; {@code what} says where in the case this is. */
    void equal(String what, Object expected, Object found) {
        count++;
        if (!Objects.equals(expected, found)) {
            throw new CheckFailure(what + ": expected " + shown(expected) + ", found " + shown(found));
        }
    }

    /** Ends the case unless {@code holds}: for what has to be so before the next comparison can be made at all. */
    void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new CheckFailure(otherwise);
        }
    }

    /** Expects a call to be refused with a reason of the contract. */
    void refused(String what, String reason, Runnable call) {
        StatusRuntimeException refusal = refusal(what, call);
        PeciaError error = PeciaError.of(refusal);
        equal(what + ": reason (" + error.message() + ")", reason, error.reason());
    }

    /** Expects a call to be refused with a status code and a reason of the contract. */
    void refused(String what, Status.Code code, String reason, Runnable call) {
        PeciaError error = PeciaError.of(refusal(what, call));
        equal(what + ": status code (" + error.message() + ")", code, error.code());
        equal(what + ": reason (" + error.message() + ")", reason, error.reason());
    }

    /** Expects a call to fail, and returns what it failed with. */
    StatusRuntimeException refusal(String what, Runnable call) {
        try {
            call.run();
        } catch (StatusRuntimeException refusal) {
            return refusal;
        }
        count++;
        throw new CheckFailure(what + ": expected an error, but the call succeeded");
    }

    private static String shown(Object value) {
        String text = String.valueOf(value);
        boolean whole = text.length() <= SHOWN_CHARACTERS;
        return '"' + (whole ? text : text.substring(0, SHOWN_CHARACTERS) + "…") + '"';
    }
}
