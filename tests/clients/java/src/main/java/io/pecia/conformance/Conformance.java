package io.pecia.conformance;

import com.google.protobuf.Struct;
import com.google.protobuf.util.Values;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.pecia.toolkit.CanonicalJson;
import io.pecia.toolkit.PeciaChannel;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Shows that a program in Java gets from a live server what the golden vectors say.
 *
 * <p>Prints one line of JSON for each case, and exits with 0 if all passed: see tests/clients/README.md.
 */
public final class Conformance {
    /** The deadline of calls for which a case does not name another. */
    static final Duration DEADLINE = Duration.ofSeconds(20);

    private static final List<String> ARGUMENTS = List.of("--target", "--vectors", "--prefix");

    private Conformance() {}

    /** A case: makes its comparisons and returns a note for the reader of the table, or nothing. */
    private interface Case {
        String run(Session session, Checks checks) throws Exception;
    }

    public static void main(String[] words) {
        Map<String, String> arguments = arguments(words);
        // Nothing is retried, so that a fault can't be hidden by the attempt that follows it.
        ManagedChannel channel =
                PeciaChannel.builder(arguments.get("--target"), InsecureChannelCredentials.create(), DEADLINE)
                        .disableRetry()
                        .build();
        Vectors vectors = new Vectors(Path.of(arguments.get("--vectors")));
        Session session = new Session(channel, vectors, arguments.get("--prefix"));
        // System.out would write the characters that the locale has, and ? for all others.
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        boolean passed = true;
        for (Map.Entry<String, Case> each : cases().entrySet()) {
            passed &= run(each.getKey(), each.getValue(), session, out);
        }
        channel.shutdownNow();
        System.exit(passed ? 0 : 1);
    }

    private static Map<String, Case> cases() {
        Map<String, Case> cases = new LinkedHashMap<>();
        cases.put("canonical", HashCases::canonical);
        cases.put("payload_hash", HashCases::payloadHash);
        cases.put("publish", RegistryCases::publish);
        cases.put("label", RegistryCases::label);
        cases.put("render", RenderCases::render);
        cases.put("batch", RenderCases::batch);
        cases.put("stream", RenderCases::stream);
        cases.put("replay", ReplayCase::replay);
        cases.put("error", FailureCases::error);
        cases.put("deadline", FailureCases::deadline);
        return cases;
    }

    // A case may fail with whatever a mistake in client, stubs or server leads to; the others are run all the same.
    private static boolean run(String name, Case toRun, Session session, PrintStream out) {
        Checks checks = new Checks();
        String outcome = "passed";
        String detail;
        try {
            detail = toRun.run(session, checks);
        } catch (CheckFailure failure) {
            outcome = "failed";
            detail = failure.getMessage();
        } catch (Exception unexpected) {
            outcome = "failed";
            detail = "unexpected " + unexpected;
        }
        Struct line =
                Struct.newBuilder()
                        .putFields("case", Values.of(name))
                        .putFields("outcome", Values.of(outcome))
                        .putFields("checks", Values.of(checks.count()))
                        .putFields("detail", Values.of(detail))
                        .build();
        out.println(CanonicalJson.write(line));
        return outcome.equals("passed");
    }

    private static Map<String, String> arguments(String[] words) {
        Map<String, String> arguments = new LinkedHashMap<>();
        for (int index = 0; index + 1 < words.length; index += 2) {
            arguments.put(words[index], words[index + 1]);
        }
        if (words.length != 2 * ARGUMENTS.size() || !arguments.keySet().containsAll(ARGUMENTS)) {
            System.err.println("usage: conformance --target HOST:PORT --vectors DIRECTORY --prefix PREFIX");
            System.exit(2);
        }
        return arguments;
    }
}
