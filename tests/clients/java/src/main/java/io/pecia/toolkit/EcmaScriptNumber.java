package io.pecia.toolkit;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;

/**
 * Doubles as ECMAScript writes them (ECMA-262, Number::toString), which is how RFC 8785 writes numbers.
 *
 * <p>{@link Double#toString} is no help: before JDK 19 its digits are not always the shortest (2e23 comes out as
 * 1.9999999999999998E23), and its exponents have another form.
 */
public final class EcmaScriptNumber {
    private EcmaScriptNumber() {}

    /**
     * Returns the shortest digits that read back as {@code value}, in ECMAScript's form; zero has no sign.
     *
     * @throws IllegalArgumentException for NaN and infinities, which JSON does not have
     */
    public static String format(double value) {
        if (!Double.isFinite(value)) {
            throw new IllegalArgumentException("JSON has no " + value);
        }
        if (value == 0) {
            return "0";
        }
        return value < 0 ? "-" + formatPositive(-value) : formatPositive(value);
    }

    private static String formatPositive(double value) {
        BigDecimal shortest = shortest(value).stripTrailingZeros();
        String digits = shortest.unscaledValue().toString();
        int count = digits.length();
        // The decimal point stands behind so many digits; names and bounds are those of ECMA-262.
        int point = count - shortest.scale();
        if (count <= point && point <= 21) {
            return digits + "0".repeat(point - count);
        }
        if (0 < point && point <= 21) {
            return digits.substring(0, point) + "." + digits.substring(point);
        }
        if (-6 < point && point <= 0) {
            return "0." + "0".repeat(-point) + digits;
        }
        int exponent = point - 1;
        String fraction = count == 1 ? "" : "." + digits.substring(1);
        return digits.charAt(0) + fraction + (exponent < 0 ? "e-" : "e+") + Math.abs(exponent);
    }

    /** Returns, of the decimals with the fewest digits that read back as {@code value}, the one closest to it. */
    private static BigDecimal shortest(double value) {
        BigDecimal exact = new BigDecimal(value);
        // What Java writes does read back, only perhaps not with the fewest digits.
        int digits = new BigDecimal(Double.toString(value)).stripTrailingZeros().precision();
        BigDecimal found = closest(exact, value, digits);
        while (digits > 1) {
            digits--;
            BigDecimal shorter = closest(exact, value, digits);
            if (shorter == null) {
                break;
            }
            found = shorter;
        }
        return found;
    }

    /** Returns the decimal of so many digits that reads back as {@code value} and is closest to it, or null. */
    private static BigDecimal closest(BigDecimal exact, double value, int digits) {
        // Both sides have to be tried: at a power of two the interval of what reads back reaches twice as far up as
        // down, so the nearer decimal can be outside while the other one is inside.
        BigDecimal below = exact.round(new MathContext(digits, RoundingMode.DOWN));
        BigDecimal above = exact.round(new MathContext(digits, RoundingMode.UP));
        boolean belowFits = below.doubleValue() == value;
        boolean aboveFits = above.doubleValue() == value;
        if (belowFits && aboveFits) {
            return exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
        }
        if (aboveFits) {
            return above;
        }
        return belowFits ? below : null;
    }
}
