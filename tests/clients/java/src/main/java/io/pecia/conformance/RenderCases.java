package io.pecia.conformance;

import com.google.protobuf.Value;
import io.grpc.Status;
import io.pecia.conformance.Vectors.Vector;
import io.pecia.toolkit.Hashes;
import io.pecia.toolkit.RenderStreamCall;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.ErrorReason;
import io.pecia.v1.InlineBundle;
import io.pecia.v1.PromptPart;
import io.pecia.v1.Receipt;
import io.pecia.v1.RenderBatchRequest;
import io.pecia.v1.RenderError;
import io.pecia.v1.RenderFieldViolation;
import io.pecia.v1.RenderOutcome;
import io.pecia.v1.RenderRequest;
import io.pecia.v1.RenderResponse;
import io.pecia.v1.RenderStreamRequest;
import io.pecia.v1.RenderStreamResponse;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/** The cases about prompts: one at a time, many in one call, and many in a stream. */
final class RenderCases {
    private static final int BATCH = 64;
    private static final int FAILING = 40;
    private static final int STREAMED = 100;

    private RenderCases() {}

    static String render(Session session, Checks checks) throws IOException {
        for (Vector vector : session.vectors().list("renders.json", "renders")) {
            RenderRequest request = request(vector);
            if (vector.isRefused()) {
                checks.refused(
                        vector.name(),
                        Status.Code.FAILED_PRECONDITION,
                        vector.reason(),
                        () -> session.prompts().render(request));
            } else {
                checkRender(checks, vector, request, session.prompts().render(request));
            }
        }
        return "";
    }

    private static RenderRequest request(Vector vector) {
        InlineBundle bundle = Vectors.inlineBundle(vector);
        DerivedPayload payload = Vectors.payload(vector.fields().get("payload"));
        if (vector.reason().equals("PROMPT_TOO_LARGE")) {
            // No server can be set to the few bytes of the vector: this is beyond the default limit of 3 MiB.
            bundle =
                    bundle.toBuilder()
                            .setTemplates(0, bundle.getTemplates(0).toBuilder().setContent("{{task}}".repeat(64)))
                            .build();
            payload = payload.toBuilder().setTask("x".repeat(65_536)).build();
        }
        return RenderRequest.newBuilder().setInlineBundle(bundle).setPayload(payload).build();
    }

    private static void checkRender(Checks checks, Vector vector, RenderRequest request, RenderResponse answer) {
        String where = vector.name();
        checks.equal(where, vector.expected("prompt"), answer.getPrompt());

        List<Value> parts = Vectors.items(vector.expected().get("parts"));
        checks.require(parts.size() == answer.getPartsCount(), where + ": has " + answer.getPartsCount() + " parts");
        for (int index = 0; index < parts.size(); index++) {
            Map<String, Value> part = parts.get(index).getStructValue().getFieldsMap();
            PromptPart found = answer.getParts(index);
            checks.equal(where + ": slot " + index, enumName("SLOT_", part.get("slot")), found.getSlot().name());
            checks.equal(where + ": role " + index, enumName("ROLE_", part.get("role")), found.getRole().name());
            checks.equal(where + ": text " + index, part.get("text").getStringValue(), found.getText());
        }

        Receipt receipt = answer.getReceipt();
        String promptHash = Hashes.promptHash(answer.getPrompt());
        checks.equal(where + ": prompt_hash of the receipt", promptHash, receipt.getPromptHash());
        checks.equal(where + ": prompt_hash of the vector", vector.expected("prompt_hash"), promptHash);
        String payloadHash = Hashes.payloadHash(request.getPayload());
        checks.equal(where + ": payload_hash of the receipt", payloadHash, receipt.getPayloadHash());
        checks.equal(where + ": payload_hash of the vector", vector.expected("payload_hash"), payloadHash);
        checks.equal(where + ": bundle_hash", vector.expected("bundle_hash"), receipt.getBundleHash());
        checks.equal(
                where + ": renderer_version", vector.expected("renderer_version"), receipt.getRendererVersion());
    }

    static String batch(Session session, Checks checks) throws IOException {
        List<RenderRequest> requests = new ArrayList<>(items(session, BATCH));
        RenderRequest.Builder failing = requests.get(FAILING).toBuilder();
        failing.getPayloadBuilder().clearStress();
        requests.set(FAILING, failing.build());

        List<RenderOutcome> outcomes =
                session.prompts()
                        .renderBatch(RenderBatchRequest.newBuilder().addAllRequests(requests).build())
                        .getOutcomesList();
        checks.equal("outcomes", BATCH, outcomes.size());
        for (int index = 0; index < BATCH; index++) {
            RenderOutcome outcome = outcomes.get(index);
            if (index == FAILING) {
                checkFailed(checks, outcome.getError());
            } else {
                checkOutcome(checks, "outcome " + index, outcome, requests.get(index).getPayload());
            }
        }
        return "";
    }

    private static void checkFailed(Checks checks, RenderError error) {
        List<String> fields =
                error.getFieldViolationsList().stream().map(RenderFieldViolation::getField).toList();
        checks.equal("the failing outcome: code", Status.Code.INVALID_ARGUMENT.value(), error.getCode());
        checks.equal("the failing outcome: reason", ErrorReason.ERROR_REASON_PAYLOAD_INVALID, error.getReason());
        checks.equal("the failing outcome: fields", List.of("payload.stress"), fields);
    }

    static String stream(Session session, Checks checks) throws Exception {
        Map<String, RenderRequest> requests = new LinkedHashMap<>();
        for (RenderRequest request : items(session, STREAMED)) {
            requests.put(session.id(String.valueOf(requests.size())), request);
        }
        List<RenderStreamResponse> answers = new ArrayList<>();
        String end = "OK";
        try {
            RenderStreamCall.start(
                            session.promptStreams()
                                    .withDeadlineAfter(Conformance.DEADLINE.toSeconds(), TimeUnit.SECONDS),
                            requests.entrySet().stream().map(RenderCases::streamed).iterator(),
                            answers::add)
                    .join();
        } catch (CompletionException failed) {
            end = Status.fromThrowable(failed).toString();
        }
        checks.equal("the stream", "OK and 100 answers", end + " and " + answers.size() + " answers");
        checks.equal(
                "correlation ids",
                requests.keySet().stream().sorted().toList(),
                answers.stream().map(RenderStreamResponse::getCorrelationId).sorted().toList());
        for (RenderStreamResponse answer : answers) {
            String id = answer.getCorrelationId();
            checkOutcome(checks, id, answer.getOutcome(), requests.get(id).getPayload());
        }
        return "";
    }

    private static RenderStreamRequest streamed(Map.Entry<String, RenderRequest> entry) {
        return RenderStreamRequest.newBuilder()
                .setCorrelationId(entry.getKey())
                .setRequest(entry.getValue())
                .build();
    }

    private static void checkOutcome(Checks checks, String where, RenderOutcome outcome, DerivedPayload sent) {
        checks.require(outcome.hasResponse(), where + ": expected a response, found " + outcome.getError());
        Session.checkHashes(checks, where, outcome.getResponse(), sent);
    }

    /** Returns renders of the published bundle that differ in their tasks. */
    private static List<RenderRequest> items(Session session, int count) throws IOException {
        RenderRequest request = session.renderPublished(session.payload());
        List<RenderRequest> requests = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            RenderRequest.Builder item = request.toBuilder();
            item.getPayloadBuilder().setTask("item " + index);
            requests.add(item.build());
        }
        return requests;
    }

    private static String enumName(String prefix, Value canonicalName) {
        return prefix + canonicalName.getStringValue().toUpperCase(Locale.ROOT);
    }
}
