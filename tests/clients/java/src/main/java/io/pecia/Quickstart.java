package io.pecia;

import com.google.protobuf.util.Structs;
import com.google.protobuf.util.Values;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.pecia.toolkit.Hashes;
import io.pecia.toolkit.PeciaChannel;
import io.pecia.toolkit.PeciaError;
import io.pecia.v1.BundleRef;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.PromptServiceGrpc;
import io.pecia.v1.PromptServiceGrpc.PromptServiceBlockingStub;
import io.pecia.v1.RenderRequest;
import io.pecia.v1.RenderResponse;
import java.time.Duration;

/** The example of docs/clients.md: renders a bundle by its label, and checks the receipt. */
public final class Quickstart {
    private Quickstart() {}

    /** Arguments: the server's host and port, and the bundle's id. */
    public static void main(String[] arguments) {
        ManagedChannel channel = open(arguments[0]);
        try {
            System.out.println(render(PromptServiceGrpc.newBlockingStub(channel), arguments[1]));
        } catch (StatusRuntimeException failure) {
            PeciaError error = PeciaError.of(failure);
            System.err.println(error.reason() + " " + error.metadata() + ": " + error.message());
            System.exit(1);
        } finally {
            channel.shutdownNow();
        }
    }

    // docs/clients.md shows the lines from here ...
    /** Retries while the server is UNAVAILABLE; each call has 5 seconds unless it says otherwise. */
    static ManagedChannel open(String target) {
        return PeciaChannel.builder(target, InsecureChannelCredentials.create(), Duration.ofSeconds(5)).build();
    }

    static String render(PromptServiceBlockingStub prompts, String bundleId) {
        DerivedPayload payload =
                DerivedPayload.newBuilder()
                        .setSemanticTraits(Structs.of("mood", Values.of("calm")))
                        .setActivityLevel(0.5)
                        .setStress(0.25)
                        .setTask("Plan the day.")
                        .build();
        RenderResponse answer =
                prompts.render(
                        RenderRequest.newBuilder()
                                .setBundle(BundleRef.newBuilder().setBundleId(bundleId).setLabel("production"))
                                .setPayload(payload)
                                .build());
        if (!answer.getReceipt().getPromptHash().equals(Hashes.promptHash(answer.getPrompt()))
                || !answer.getReceipt().getPayloadHash().equals(Hashes.payloadHash(payload))) {
            throw new IllegalStateException("the receipt is not that of this prompt and payload");
        }
        return answer.getPrompt();
    }
    // ... to here.
}
