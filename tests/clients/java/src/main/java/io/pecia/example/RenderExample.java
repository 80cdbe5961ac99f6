package io.pecia.example;

import com.google.protobuf.Struct;
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
import io.pecia.v1.RenderRequest;
import io.pecia.v1.RenderResponse;
import java.time.Duration;

/** Renders what the label "production" of the bundle "companion" points to. */
public final class RenderExample {
    private static final Struct PERSON =
            Structs.of("name", Values.of("Mara"), "interests", Values.of("ferns"));

    private static final DerivedPayload PAYLOAD =
            DerivedPayload.newBuilder()
                    .setSemanticTraits(Structs.of("mood", Values.of("calm"), "person", Values.of(PERSON)))
                    .setActivityLevel(0.2)
                    .setStress(0.1)
                    .setTask("Plan the day.")
                    .build();

    private RenderExample() {}

    public static void main(String[] arguments) {
        String target = "127.0.0.1:50051";
        ManagedChannel channel =
                PeciaChannel.builder(target, InsecureChannelCredentials.create(), Duration.ofSeconds(5)).build();
        BundleRef bundle = BundleRef.newBuilder().setBundleId("companion").setLabel("production").build();
        try {
            RenderResponse answer =
                    PromptServiceGrpc.newBlockingStub(channel)
                            .render(RenderRequest.newBuilder().setBundle(bundle).setPayload(PAYLOAD).build());
            String payloadHash = answer.getReceipt().getPayloadHash();
            if (!payloadHash.equals(Hashes.payloadHash(PAYLOAD))) {
                throw new IllegalStateException("the prompt was not made from this payload");
            }
            System.out.println(answer.getPrompt());
            System.out.println("prompt_hash " + answer.getReceipt().getPromptHash());
        } catch (StatusRuntimeException failure) {
            PeciaError error = PeciaError.of(failure);
            if (!error.reason().equals("LABEL_NOT_FOUND")) {
                throw failure;
            }
            System.err.println("nothing is in production yet: " + error.metadata());
            System.exit(1);
        } finally {
            channel.shutdownNow();
        }
    }
}
