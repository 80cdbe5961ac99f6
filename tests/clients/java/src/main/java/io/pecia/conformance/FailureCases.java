package io.pecia.conformance;

import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import io.pecia.toolkit.PeciaError;
import io.pecia.v1.BundleRef;
import io.pecia.v1.GetBundleRequest;
import io.pecia.v1.RenderStreamResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The cases about what a client learns of a call that fails. */
final class FailureCases {
    private static final Duration SHORT = Duration.ofMillis(200);

    private FailureCases() {}

    static String error(Session session, Checks checks) {
        String bundleId = session.id("bundle");
        StatusRuntimeException unknown = checks.refusal("an unknown version", () -> get(session, bundleId, "9.9.9"));
        checks.equal("an unknown version: code", Status.Code.NOT_FOUND, unknown.getStatus().getCode());
        com.google.rpc.Status status = StatusProto.fromThrowable(unknown);
        checks.require(status != null, "an unknown version: there is no google.rpc.Status");
        checks.equal("google.rpc.Status: code", Status.Code.NOT_FOUND.value(), status.getCode());
        List<ErrorInfo> infos = PeciaError.details(unknown, ErrorInfo.class);
        checks.equal("number of ErrorInfos", 1, infos.size());
        ErrorInfo info = infos.get(0);
        checks.equal("ErrorInfo: domain", "pecia", info.getDomain());
        checks.equal("ErrorInfo: reason", "BUNDLE_NOT_FOUND", info.getReason());
        checks.equal("ErrorInfo: bundle_id", bundleId, info.getMetadataMap().get("bundle_id"));
        checks.equal("ErrorInfo: semver", "9.9.9", info.getMetadataMap().get("semver"));

        StatusRuntimeException malformed =
                checks.refusal("a malformed id", () -> get(session, "not an id", Session.SEMVER));
        PeciaError error = PeciaError.of(malformed);
        checks.equal("a malformed id: code", Status.Code.INVALID_ARGUMENT, error.code());
        checks.equal("a malformed id: reason", "IDENTIFIER_INVALID", error.reason());
        List<BadRequest> requests = PeciaError.details(malformed, BadRequest.class);
        checks.require(requests.size() == 1, "a malformed id: found " + requests.size() + " BadRequests");
        checks.equal("number of violations", 1, error.violations().size());
        checks.equal("violation: field", "bundle.bundle_id", error.violations().get(0).getField());
        return "";
    }

    private static void get(Session session, String bundleId, String semver) {
        BundleRef bundle = BundleRef.newBuilder().setBundleId(bundleId).setSemver(semver).build();
        session.registry().getBundle(GetBundleRequest.newBuilder().setBundle(bundle).build());
    }

    static String deadline(Session session, Checks checks) throws Exception {
        CompletableFuture<Status.Code> end = new CompletableFuture<>();
        session.promptStreams()
                .withDeadlineAfter(SHORT.toMillis(), TimeUnit.MILLISECONDS)
                .renderStream(new UntilTheEnd(end));
        Status.Code code = end.get(Conformance.DEADLINE.toSeconds(), TimeUnit.SECONDS);
        checks.equal("a stream on which nothing is sent", Status.Code.DEADLINE_EXCEEDED, code);
        checkNextCall(session, checks);
        return "";
    }

    private static void checkNextCall(Session session, Checks checks) throws IOException {
        String semver =
                session.prompts().render(session.renderPublished(session.payload())).getReceipt().getSemver();
        checks.equal("the render after it: semver", Session.SEMVER, semver);
    }

    /** Tells the status that a stream ends with. */
    private record UntilTheEnd(CompletableFuture<Status.Code> end) implements StreamObserver<RenderStreamResponse> {
        @Override
        public void onNext(RenderStreamResponse answer) {
            end.completeExceptionally(new CheckFailure("a stream on which nothing is sent has an answer"));
        }

        @Override
        public void onError(Throwable error) {
            end.complete(Status.fromThrowable(error).getCode());
        }

        @Override
        public void onCompleted() {
            end.complete(Status.Code.OK);
        }
    }
}
