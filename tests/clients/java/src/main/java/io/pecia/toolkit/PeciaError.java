package io.pecia.toolkit;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What an error of the service says beside its code and message.
 *
 * @param code the status code of the call
 * @param message for people
 * @param reason the name of a value of {@code ErrorReason} without its prefix; empty when gRPC itself made the error
 * @param metadata names, paths, limits and sizes that belong to the reason
 * @param violations the bad fields of the request
 * @param retryDelay how long to wait before a retry, where a retry helps
 */
public record PeciaError(
        Status.Code code,
        String message,
        String reason,
        Map<String, String> metadata,
        List<BadRequest.FieldViolation> violations,
        Optional<Duration> retryDelay) {
    /** Marks the ErrorInfo of the service; proxies in between may add others. */
    private static final String DOMAIN = "pecia";

    /** Reads the error of a call that failed with {@code thrown}. */
    public static PeciaError of(Throwable thrown) {
        Status status = Status.fromThrowable(thrown);
        ErrorInfo info =
                details(thrown, ErrorInfo.class).stream()
                        .filter(each -> each.getDomain().equals(DOMAIN))
                        .findFirst()
                        .orElse(ErrorInfo.getDefaultInstance());
        return new PeciaError(
                status.getCode(),
                Optional.ofNullable(status.getDescription()).orElse(""),
                info.getReason(),
                info.getMetadataMap(),
                first(thrown, BadRequest.class).map(BadRequest::getFieldViolationsList).orElse(List.of()),
                first(thrown, RetryInfo.class).map(PeciaError::delay));
    }

    /** Returns the details of one type in the google.rpc.Status of a call that failed with {@code thrown}. */
    public static <D extends Message> List<D> details(Throwable thrown, Class<D> type) {
        com.google.rpc.Status status = StatusProto.fromThrowable(thrown);
        List<D> found = new ArrayList<>();
        for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
            if (detail.is(type)) {
                try {
                    found.add(detail.unpack(type));
                } catch (InvalidProtocolBufferException damaged) {
                    throw new IllegalArgumentException("a detail of the status is damaged", damaged);
                }
            }
        }
        return found;
    }

    private static <D extends Message> Optional<D> first(Throwable thrown, Class<D> type) {
        return details(thrown, type).stream().findFirst();
    }

    private static Duration delay(RetryInfo info) {
        return Duration.ofSeconds(info.getRetryDelay().getSeconds(), info.getRetryDelay().getNanos());
    }
}
