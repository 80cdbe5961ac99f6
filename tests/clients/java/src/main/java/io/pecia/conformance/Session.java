package io.pecia.conformance;

import io.grpc.ManagedChannel;
import io.pecia.toolkit.Hashes;
import io.pecia.v1.BundleRef;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.PromptServiceGrpc;
import io.pecia.v1.PromptServiceGrpc.PromptServiceBlockingStub;
import io.pecia.v1.PromptServiceGrpc.PromptServiceStub;
import io.pecia.v1.RegistryServiceGrpc;
import io.pecia.v1.RegistryServiceGrpc.RegistryServiceBlockingStub;
import io.pecia.v1.RenderRequest;
import io.pecia.v1.RenderResponse;
import java.io.IOException;

/** What the cases of a run share: the server, the vectors, and the bundle that `publish` puts into the registry. */
final class Session {
    static final String SEMVER = "1.0.0";

    private final Vectors vectors;
    private final String prefix;
    private final RegistryServiceBlockingStub registry;
    private final PromptServiceBlockingStub prompts;
    private final PromptServiceStub promptStreams;
    private boolean published;

    Session(ManagedChannel channel, Vectors vectors, String prefix) {
        this.vectors = vectors;
        this.prefix = prefix;
        this.registry = RegistryServiceGrpc.newBlockingStub(channel);
        this.prompts = PromptServiceGrpc.newBlockingStub(channel);
        this.promptStreams = PromptServiceGrpc.newStub(channel);
    }

    Vectors vectors() {
        return vectors;
    }

    RegistryServiceBlockingStub registry() {
        return registry;
    }

    PromptServiceBlockingStub prompts() {
        return prompts;
    }

    PromptServiceStub promptStreams() {
        return promptStreams;
    }

    /** Returns an id that no other run on this server uses. */
    String id(String name) {
        return prefix + "-" + name;
    }

    /** Returns the vector that the published bundle and its payload are taken from. */
    Vectors.Vector published() throws IOException {
        return vectors.named("renders.json", "renders", "text_and_json");
    }

    void markPublished() {
        published = true;
    }

    /** Returns a version of the published bundle; ends the case when `publish` did not publish it. */
    BundleRef publishedBundle(String semver) {
        if (!published) {
            throw new CheckFailure("needs the bundle that the case publish did not publish");
        }
        return BundleRef.newBuilder().setBundleId(id("bundle")).setSemver(semver).build();
    }

    /** Returns the payload for the published bundle. */
    DerivedPayload payload() throws IOException {
        return Vectors.payload(published().fields().get("payload"));
    }

    /** Returns the request of a render of the published bundle. */
    RenderRequest renderPublished(DerivedPayload payload) {
        return RenderRequest.newBuilder().setBundle(publishedBundle(SEMVER)).setPayload(payload).build();
    }

    /** Compares the hashes of an answer with the hashes of what it holds and of what was sent. */
    static void checkHashes(Checks checks, String where, RenderResponse answer, DerivedPayload sent) {
        checks.equal(
                where + ": prompt_hash", Hashes.promptHash(answer.getPrompt()), answer.getReceipt().getPromptHash());
        checks.equal(where + ": payload_hash", Hashes.payloadHash(sent), answer.getReceipt().getPayloadHash());
    }
}
