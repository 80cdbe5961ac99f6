package io.pecia.toolkit;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.Values;
import io.pecia.v1.DerivedPayload;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.text.Normalizer;
import java.util.HexFormat;
import java.util.Map;

/**
 * The hashes of a receipt, made anew: what a caller compares to know that the server rendered what it was sent.
 *
 * <p>The service normalises with Unicode 18, this class with the Unicode of the running JDK (13 on JDK 17). The two
 * differ at most for characters that the JDK does not know: see {@link #knowsAll}.
 */
public final class Hashes {
    private Hashes() {}

    /** Returns the {@code prompt_hash} of a prompt. */
    public static String promptHash(String prompt) {
        return sha256(prompt);
    }

    /**
     * Returns the {@code payload_hash} of a payload whose four fields are set.
     *
     * @throws IllegalArgumentException for what the service refuses too: see {@link #payloadJson}
     */
    public static String payloadHash(DerivedPayload payload) {
        return sha256(payloadJson(payload));
    }

    /**
     * Returns the canonical form of a payload, the text that {@code payload_hash} is the SHA-256 of.
     *
     * @throws IllegalArgumentException for a number that is not finite, text with U+0000 or a lone surrogate, and
     *     keys that are equal after normalisation
     */
    public static String payloadJson(DerivedPayload payload) {
        return CanonicalJson.write(
                Struct.newBuilder()
                        .putFields("activity_level", Values.of(payload.getActivityLevel()))
                        .putFields("semantic_traits", Values.of(normalise(payload.getSemanticTraits())))
                        .putFields("stress", Values.of(payload.getStress()))
                        .putFields("task", Values.of(normalise(payload.getTask())))
                        .build());
    }

    /**
     * Returns a text as the service sees it: in NFC, with LF line ends, without leading byte-order marks.
     *
     * @throws IllegalArgumentException for U+0000 and lone surrogates
     */
    public static String normalise(String text) {
        requireNoLoneSurrogate(text);
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("the text holds U+0000");
        }
        String lines = text.replace("\r\n", "\n").replace('\r', '\n');
        int start = 0;
        while (start < lines.length() && lines.charAt(start) == '\uFEFF') {
            start++;
        }
        return Normalizer.normalize(lines.substring(start), Normalizer.Form.NFC);
    }

    /** Tells whether the running JDK knows every character of a text, so that its normalisation is certain. */
    public static boolean knowsAll(String text) {
        return text.codePoints().allMatch(point -> Character.isDefined(point) || isNoncharacter(point));
    }

    /** Returns the SHA-256 of a text's UTF-8 bytes, in lower-case hex. */
    public static String sha256(String text) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException missing) {
            throw new IllegalStateException("every Java has SHA-256", missing);
        }
    }

    static void requireNoLoneSurrogate(String text) {
        text.codePoints()
                .filter(point -> Character.MIN_SURROGATE <= point && point <= Character.MAX_SURROGATE)
                .findFirst()
                .ifPresent(
                        point -> {
                            throw new IllegalArgumentException("the text holds a lone surrogate");
                        });
    }

    private static Struct normalise(Struct object) {
        Struct.Builder normal = Struct.newBuilder();
        for (Map.Entry<String, Value> member : object.getFieldsMap().entrySet()) {
            String key = normalise(member.getKey());
            if (normal.containsFields(key)) {
                throw new IllegalArgumentException("two keys are equal after normalisation");
            }
            normal.putFields(key, normalise(member.getValue()));
        }
        return normal.build();
    }

    private static Value normalise(Value value) {
        return switch (value.getKindCase()) {
            case STRING_VALUE -> Values.of(normalise(value.getStringValue()));
            case STRUCT_VALUE -> Values.of(normalise(value.getStructValue()));
            case LIST_VALUE ->
                    Values.of(value.getListValue().getValuesList().stream().map(Hashes::normalise).toList());
            default -> value;
        };
    }

    /** Noncharacters such as U+FFFF count as undefined in Java, but no Unicode will ever give them a meaning. */
    private static boolean isNoncharacter(int point) {
        return (point & 0xFFFE) == 0xFFFE || (0xFDD0 <= point && point <= 0xFDEF);
    }
}
