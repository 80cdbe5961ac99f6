package io.pecia.conformance;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.pecia.toolkit.Hashes;
import io.pecia.v1.AuditRecord;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.GetAuditRecordRequest;
import io.pecia.v1.Receipt;
import io.pecia.v1.ReceiptClaim;
import io.pecia.v1.RenderResponse;
import io.pecia.v1.ReplayCause;
import io.pecia.v1.ReplayRequest;
import io.pecia.v1.ReplayResult;
import io.pecia.v1.ReplayVerdict;
import java.time.Duration;
import java.util.Set;

/** The case about what stays of a render, and about proving it. */
final class ReplayCase {
    /** A record can still be on its way to the database when its render is answered. */
    private static final Set<Status.Code> NOT_YET = Set.of(Status.Code.UNAVAILABLE, Status.Code.NOT_FOUND);

    private static final Duration BETWEEN_READS = Duration.ofMillis(100);

    private ReplayCase() {}

    static String replay(Session session, Checks checks) throws Exception {
        DerivedPayload payload = session.payload();
        RenderResponse rendered = session.prompts().render(session.renderPublished(payload));
        Receipt receipt = rendered.getReceipt();
        String promptHash = Hashes.promptHash(rendered.getPrompt());

        AuditRecord record = awaitRecord(session, receipt.getRenderId());
        checks.equal("record: prompt_hash", promptHash, record.getReceipt().getPromptHash());
        checks.equal("record: prompt", rendered.getPrompt(), record.getPrompt());
        checks.equal(
                "record: canonical_payload",
                Hashes.payloadJson(payload),
                record.getCanonicalPayload().toStringUtf8());

        ReplayRequest.Builder byId = ReplayRequest.newBuilder().setRenderId(receipt.getRenderId());
        ReplayResult recorded = replay(session, byId);
        checks.equal("replay by id", ReplayVerdict.REPLAY_VERDICT_MATCH, recorded.getVerdict());
        checks.equal("replay by id: recorded_prompt_hash", promptHash, recorded.getRecordedPromptHash());
        checks.equal("replay by id: replayed_prompt_hash", promptHash, recorded.getReplayedPromptHash());

        ReplayResult claimed = replay(session, claim(receipt, payload));
        checks.equal("replay by claim", ReplayVerdict.REPLAY_VERDICT_MATCH, claimed.getVerdict());
        checks.equal("replay by claim: replayed_prompt_hash", promptHash, claimed.getReplayedPromptHash());

        DerivedPayload other = payload.toBuilder().setTask(payload.getTask() + "!").build();
        ReplayResult disproved = replay(session, claim(receipt, other));
        checks.equal("another payload", ReplayVerdict.REPLAY_VERDICT_MISMATCH, disproved.getVerdict());
        checks.require(disproved.getFindingsCount() > 0, "another payload: there is no finding");
        checks.equal(
                "another payload: cause",
                ReplayCause.REPLAY_CAUSE_PAYLOAD,
                disproved.getFindings(0).getCause());
        return "";
    }

    private static AuditRecord awaitRecord(Session session, String renderId) throws InterruptedException {
        GetAuditRecordRequest request = GetAuditRecordRequest.newBuilder().setRenderId(renderId).build();
        long giveUp = System.nanoTime() + Conformance.DEADLINE.toNanos();
        while (true) {
            try {
                return session.prompts().getAuditRecord(request).getRecord();
            } catch (StatusRuntimeException error) {
                if (!NOT_YET.contains(error.getStatus().getCode()) || System.nanoTime() - giveUp > 0) {
                    throw error;
                }
            }
            Thread.sleep(BETWEEN_READS.toMillis());
        }
    }

    private static ReplayResult replay(Session session, ReplayRequest.Builder request) {
        return session.prompts().replay(request.build()).getResult();
    }

    private static ReplayRequest.Builder claim(Receipt receipt, DerivedPayload payload) {
        return ReplayRequest.newBuilder()
                .setClaim(ReceiptClaim.newBuilder().setReceipt(receipt).setPayload(payload));
    }
}
