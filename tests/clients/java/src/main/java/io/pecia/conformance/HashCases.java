package io.pecia.conformance;

import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Values;
import io.pecia.conformance.Vectors.Vector;
import io.pecia.toolkit.CanonicalJson;
import io.pecia.toolkit.EcmaScriptNumber;
import io.pecia.toolkit.Hashes;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.InlineBundle;
import io.pecia.v1.RenderRequest;
import io.pecia.v1.RenderResponse;
import java.io.IOException;
import java.util.List;

/** The cases about canonical forms and what is hashed. */
final class HashCases {
    /** The one text whose normalisation an older Unicode does not know. */
    private static final String OF_UNICODE_16 = "composition_of_unicode_16";

    private HashCases() {}

    static String canonical(Session session, Checks checks) throws IOException {
        for (Vector vector : session.vectors().list("canonical_json.json", "values")) {
            Value.Builder value = Value.newBuilder();
            JsonFormat.parser().merge(vector.input().getStringValue(), value);
            String written = CanonicalJson.write(value.build());
            checks.equal(vector.name(), vector.expected("canonical"), written);
            checks.equal(vector.name() + ": sha256", vector.expected("sha256"), Hashes.sha256(written));
        }
        for (Vector vector : session.vectors().list("canonical_json.json", "numbers")) {
            long bits = Long.parseUnsignedLong(vector.input().getStringValue(), 16);
            double value = Double.longBitsToDouble(bits);
            checks.equal(vector.name(), vector.expected("canonical"), EcmaScriptNumber.format(value));
        }
        List<Value> refused =
                List.of(Values.of(Double.NaN), Values.of(Double.POSITIVE_INFINITY), Values.of("\uD800"));
        for (Value each : refused) {
            checks.equal("a value that has no canonical form", "refused", written(each));
        }
        checks.equal("numbers at random", "", ShortestDigitsProof.firstMistake());
        return "";
    }

    static String payloadHash(Session session, Checks checks) throws IOException {
        String note = texts(session, checks);
        for (Vector vector : session.vectors().list("payloads.json", "payloads")) {
            RenderRequest request = dryRun(session, Vectors.payload(vector.input()));
            if (vector.isRefused()) {
                checks.refused(vector.name(), vector.reason(), () -> render(session, request));
                continue;
            }
            String hash = vector.expected("payload_hash");
            checks.equal(vector.name(), vector.expected("canonical"), Hashes.payloadJson(request.getPayload()));
            checks.equal(vector.name() + ": own hash", hash, Hashes.payloadHash(request.getPayload()));
            checks.equal(
                    vector.name() + ": receipt", hash, render(session, request).getReceipt().getPayloadHash());
        }
        return note;
    }

    private static String texts(Session session, Checks checks) throws IOException {
        String note = "";
        DerivedPayload valid =
                Vectors.payload(session.vectors().named("payloads.json", "payloads", "worked_example").input());
        for (Vector vector : session.vectors().list("text.json", "texts")) {
            String text = vector.input().getStringValue();
            if (vector.isRefused()) {
                RenderRequest request = dryRun(session, valid.toBuilder().setTask(text).build());
                checks.refused(vector.name(), vector.reason(), () -> render(session, request));
            } else if (vector.name().equals(OF_UNICODE_16) && !Hashes.knowsAll(text)) {
                note = "NFC of Java " + Runtime.version().feature() + ": " + OF_UNICODE_16 + " left out";
            } else {
                String normal = Hashes.normalise(text);
                checks.equal(vector.name(), vector.expected("normalised"), normal);
                checks.equal(vector.name() + ": sha256", vector.expected("utf8_sha256"), Hashes.sha256(normal));
            }
        }
        return note;
    }

    private static RenderRequest dryRun(Session session, DerivedPayload payload) throws IOException {
        InlineBundle plain = Vectors.inlineBundle(session.vectors().named("renders.json", "renders", "plain"));
        return RenderRequest.newBuilder()
                .setInlineBundle(plain)
                .setPayload(payload)
                .setValidateOnly(true)
                .build();
    }

    private static RenderResponse render(Session session, RenderRequest request) {
        return session.prompts().render(request);
    }

    private static String written(Value value) {
        try {
            return CanonicalJson.write(value);
        } catch (IllegalArgumentException refused) {
            return "refused";
        }
    }
}
