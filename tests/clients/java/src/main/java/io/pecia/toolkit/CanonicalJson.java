package io.pecia.toolkit;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;

/**
 * The canonical JSON of RFC 8785 (JCS) for protobuf's {@link Struct} and {@link Value}.
 *
 * <p>Nothing is normalised here; see {@link Hashes#payloadJson}.
 */
public final class CanonicalJson {
    private static final String SHORT_ESCAPES = "\b\t\n\f\r\"\\";
    private static final String ESCAPE_LETTERS = "btnfr\"\\";

    private CanonicalJson() {}

    /**
     * Returns the canonical JSON of an object.
     *
     * @throws IllegalArgumentException for what RFC 8785 has no form for: see {@link #write(Value)}
     */
    public static String write(Struct object) {
        StringBuilder out = new StringBuilder();
        writeObject(object, out);
        return out.toString();
    }

    /**
     * Returns the canonical JSON of a value.
     *
     * @throws IllegalArgumentException for NaN, infinities, strings with lone surrogates, and a Value without kind
     */
    public static String write(Value value) {
        StringBuilder out = new StringBuilder();
        writeValue(value, out);
        return out.toString();
    }

    /** Returns the canonical JSON of an object as the bytes that are hashed. */
    public static byte[] bytes(Struct object) {
        return write(object).getBytes(StandardCharsets.UTF_8);
    }

    private static void writeValue(Value value, StringBuilder out) {
        switch (value.getKindCase()) {
            case NULL_VALUE -> out.append("null");
            case BOOL_VALUE -> out.append(value.getBoolValue());
            case NUMBER_VALUE -> out.append(EcmaScriptNumber.format(value.getNumberValue()));
            case STRING_VALUE -> writeString(value.getStringValue(), out);
            case STRUCT_VALUE -> writeObject(value.getStructValue(), out);
            case LIST_VALUE -> writeArray(value.getListValue().getValuesList(), out);
            case KIND_NOT_SET -> throw new IllegalArgumentException("a Value is not set");
        }
    }

    private static void writeObject(Struct object, StringBuilder out) {
        // String.compareTo compares UTF-16 code units, which is the order that the RFC asks for.
        Iterator<Map.Entry<String, Value>> members = new TreeMap<>(object.getFieldsMap()).entrySet().iterator();
        out.append('{');
        while (members.hasNext()) {
            Map.Entry<String, Value> member = members.next();
            writeString(member.getKey(), out);
            out.append(':');
            writeValue(member.getValue(), out);
            out.append(members.hasNext() ? "," : "");
        }
        out.append('}');
    }

    private static void writeArray(Iterable<Value> values, StringBuilder out) {
        Iterator<Value> items = values.iterator();
        out.append('[');
        while (items.hasNext()) {
            writeValue(items.next(), out);
            out.append(items.hasNext() ? "," : "");
        }
        out.append(']');
    }

    private static void writeString(String text, StringBuilder out) {
        Hashes.requireNoLoneSurrogate(text);
        out.append('"');
        for (int index = 0; index < text.length(); index++) {
            char unit = text.charAt(index);
            int escape = SHORT_ESCAPES.indexOf(unit);
            if (escape >= 0) {
                out.append('\\').append(ESCAPE_LETTERS.charAt(escape));
            } else if (unit < ' ') {
                out.append(String.format("\\u%04x", (int) unit));
            } else {
                out.append(unit);
            }
        }
        out.append('"');
    }
}
