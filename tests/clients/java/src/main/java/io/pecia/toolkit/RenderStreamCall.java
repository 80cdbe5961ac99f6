package io.pecia.toolkit;

import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.pecia.v1.PromptServiceGrpc.PromptServiceStub;
import io.pecia.v1.RenderStreamRequest;
import io.pecia.v1.RenderStreamResponse;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** One RenderStream that takes its requests from an iterator, only as fast as the server reads them. */
public final class RenderStreamCall implements ClientResponseObserver<RenderStreamRequest, RenderStreamResponse> {
    private final Iterator<RenderStreamRequest> requests;
    private final Consumer<RenderStreamResponse> answers;
    private final CompletableFuture<Void> end = new CompletableFuture<>();
    private boolean halfClosed;

    private RenderStreamCall(Iterator<RenderStreamRequest> requests, Consumer<RenderStreamResponse> answers) {
        this.requests = requests;
        this.answers = answers;
    }

    /**
     * Sends all requests and hands over each answer as it comes, in any order; tell them by their correlation_id.
     *
     * <p>Both are called on threads of the channel, never at the same time; neither may block.
     *
     * @return is completed when the last answer has come, or with the error that ended the stream
     */
    public static CompletableFuture<Void> start(
            PromptServiceStub stub,
            Iterator<RenderStreamRequest> requests,
            Consumer<RenderStreamResponse> answers) {
        RenderStreamCall call = new RenderStreamCall(requests, answers);
        stub.renderStream(call);
        return call.end;
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<RenderStreamRequest> call) {
        call.setOnReadyHandler(
                () -> {
                    while (call.isReady() && requests.hasNext()) {
                        call.onNext(requests.next());
                    }
                    if (!requests.hasNext() && !halfClosed) {
                        halfClosed = true;
                        call.onCompleted();
                    }
                });
    }

    @Override
    public void onNext(RenderStreamResponse answer) {
        answers.accept(answer);
    }

    @Override
    public void onError(Throwable error) {
        end.completeExceptionally(error);
    }

    @Override
    public void onCompleted() {
        end.complete(null);
    }
}
