package io.pecia.conformance;

import io.pecia.toolkit.EcmaScriptNumber;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Random;

/**
 * Holds {@link EcmaScriptNumber} to the definition of ECMA-262 on thousands of doubles.
 *
 * <p>It reckons with the exact interval of the decimals that read back as a double, and shares no step with what it
 * proves.
 */
final class ShortestDigitsProof {
    private static final int DOUBLES = 10_000;
    private static final BigDecimal TWO = BigDecimal.valueOf(2);

    private ShortestDigitsProof() {}

    /** Returns what is wrong with the first double that is written otherwise than it should be; empty if none is. */
    static String firstMistake() {
        Random random = new Random(8785);
        for (int count = 0; count < DOUBLES; count++) {
            String mistake = mistake(next(random, count));
            if (!mistake.isEmpty()) {
                return mistake;
            }
        }
        return "";
    }

    /** Returns one of several kinds: powers of two, decimals as people write them, small and any bit patterns. */
    private static double next(Random random, int count) {
        double value =
                switch (count % 4) {
                    case 0 -> Math.scalb(1.0, random.nextInt(2098) - 1074);
                    case 1 -> random.nextInt(1_000_000) / Math.pow(10, random.nextInt(12));
                    case 2 -> Double.longBitsToDouble(random.nextLong() >>> (1 + random.nextInt(52)));
                    default -> Double.longBitsToDouble(random.nextLong() >>> 1);
                };
        return Double.isFinite(value) && value > 0 ? value : 1;
    }

    private static String mistake(double value) {
        String text = EcmaScriptNumber.format(value);
        BigDecimal written = new BigDecimal(text).stripTrailingZeros();
        BigDecimal exact = new BigDecimal(value);
        BigDecimal low = exact.add(new BigDecimal(Math.nextDown(value))).divide(TWO);
        BigDecimal high = value == Double.MAX_VALUE ? exact.add(exact.subtract(low)) : middleAbove(value, exact);
        // Halfway between two doubles, reading takes the one whose last bit is 0.
        boolean even = (Double.doubleToLongBits(value) & 1) == 0;
        if (!isWithin(written, low, high, even)) {
            return text + " does not read back as " + exact;
        }
        if (written.precision() > 1) {
            BigDecimal shorter = low.round(new MathContext(written.precision() - 1, RoundingMode.CEILING));
            shorter = shorter.compareTo(low) == 0 && !even ? shorter.add(shorter.ulp()) : shorter;
            if (isWithin(shorter, low, high, even)) {
                return text + " could be written as " + shorter;
            }
        }
        BigDecimal step = written.compareTo(exact) < 0 ? written.ulp() : written.ulp().negate();
        BigDecimal other = written.add(step);
        boolean closer = other.subtract(exact).abs().compareTo(written.subtract(exact).abs()) < 0;
        return closer && isWithin(other, low, high, even) ? other + " is closer than " + text : "";
    }

    private static BigDecimal middleAbove(double value, BigDecimal exact) {
        return exact.add(new BigDecimal(Math.nextUp(value))).divide(TWO);
    }

    private static boolean isWithin(BigDecimal decimal, BigDecimal low, BigDecimal high, boolean closed) {
        int least = closed ? 0 : 1;
        return decimal.compareTo(low) >= least && high.compareTo(decimal) >= least;
    }
}
