package io.pecia.toolkit;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannelBuilder;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A channel to Pecia with what a client in production needs: room for large prompts, retries, and a deadline.
 *
 * <p>Make one channel for each server and share it: it is safe for all threads and keeps its connection.
 */
public final class PeciaChannel {
    /** The largest answer under the server's default limits; gRPC's own limit of 4 MiB is too small. */
    private static final int MAX_ANSWER_BYTES = 64 << 20;

    private static final List<String> SERVICES =
            List.of("pecia.v1.RegistryService", "pecia.v1.PromptService", "pecia.v1.AdminService");

    private PeciaChannel() {}

    /**
     * Returns a builder of a channel; add to it what your service needs beside.
     *
     * @param target host and port
     * @param credentials such as {@link io.grpc.TlsChannelCredentials#create()}, with an {@link ApiKey} if need be
     * @param deadline for each unary call that has none of its own; streams are given none
     */
    public static ManagedChannelBuilder<?> builder(
            String target, ChannelCredentials credentials, Duration deadline) {
        return Grpc.newChannelBuilder(target, credentials)
                .maxInboundMessageSize(MAX_ANSWER_BYTES)
                .defaultServiceConfig(serviceConfig())
                .enableRetry()
                .intercept(new DefaultDeadline(deadline));
    }

    /**
     * Retries while the service is UNAVAILABLE: every RPC of the contract is idempotent, or made so by a request_id.
     * Give each change of a label one. RenderStream is left out; what has no answer yet is the program's to send again.
     */
    private static Map<String, ?> serviceConfig() {
        Map<String, ?> retryPolicy =
                Map.of(
                        "maxAttempts", 4.0,
                        "initialBackoff", "0.1s",
                        "maxBackoff", "2s",
                        "backoffMultiplier", 2.0,
                        "retryableStatusCodes", List.of("UNAVAILABLE"));
        List<?> services = SERVICES.stream().map(service -> Map.of("service", service)).toList();
        Map<String, ?> renderStream = Map.of("service", "pecia.v1.PromptService", "method", "RenderStream");
        return Map.of(
                "methodConfig",
                List.of(
                        Map.of("name", services, "retryPolicy", retryPolicy),
                        Map.of("name", List.of(renderStream))));
    }

    /**
     * Gives each call its deadline when the call begins. {@code stub.withDeadlineAfter} counts from the moment the stub
     * is made, so a stub that is kept would soon have no time left.
     */
    private record DefaultDeadline(Duration duration) implements ClientInterceptor {
        @Override
        public <Q, A> ClientCall<Q, A> interceptCall(
                MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            boolean asIs = options.getDeadline() != null || method.getType() != MethodType.UNARY;
            CallOptions bounded =
                    asIs ? options : options.withDeadlineAfter(duration.toNanos(), TimeUnit.NANOSECONDS);
            return next.newCall(method, bounded);
        }
    }
}
