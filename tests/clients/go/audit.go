package main

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"example.com/pecia-conformance/canonical"
	"example.com/pecia-conformance/client"
	peciav1 "example.com/pecia-go/pecia/v1"
)

// checkReplay has one prompt rendered again from its record and from its receipt.
func checkReplay(ctx context.Context, s *session, c *check) {
	s.needPublished(c)
	answer, err := s.prompts.Render(ctx, renderRequest(s.exactly(version), s.payload))
	c.noError("Render", err)
	receipt := answer.GetReceipt()
	ownHash := canonical.Hash([]byte(answer.GetPrompt()))
	ownPayload, err := canonical.Payload(s.payload)
	c.noError("payload", err)

	record, err := s.waitForRecord(ctx, receipt.GetRenderId())
	c.noError("GetAuditRecord", err)
	equal(c, "record: prompt_hash", ownHash, record.GetReceipt().GetPromptHash())
	equal(c, "record: prompt", answer.GetPrompt(), record.GetPrompt())
	equal(c, "record: canonical_payload", string(ownPayload), string(record.GetCanonicalPayload()))

	result := s.replay(ctx, c, &peciav1.ReplayRequest{
		Subject: &peciav1.ReplayRequest_RenderId{RenderId: receipt.GetRenderId()},
	})
	equal(c, "replay of the record", peciav1.ReplayVerdict_REPLAY_VERDICT_MATCH, result.GetVerdict())
	equal(c, "replay of the record: recorded hash", ownHash, result.GetRecordedPromptHash())
	equal(c, "replay of the record: replayed hash", ownHash, result.GetReplayedPromptHash())

	result = s.replay(ctx, c, claim(receipt, s.payload))
	equal(c, "replay of the receipt", peciav1.ReplayVerdict_REPLAY_VERDICT_MATCH, result.GetVerdict())
	equal(c, "replay of the receipt: replayed hash", ownHash, result.GetReplayedPromptHash())

	result = s.replay(ctx, c, claim(receipt, s.payloadFor(s.payload.GetTask()+"!")))
	equal(c, "replay of another payload", peciav1.ReplayVerdict_REPLAY_VERDICT_MISMATCH, result.GetVerdict())
	if len(result.GetFindings()) == 0 {
		c.fail("replay of another payload", "expected a finding, found none")
	}
	equal(c, "replay of another payload: cause",
		peciav1.ReplayCause_REPLAY_CAUSE_PAYLOAD, result.GetFindings()[0].GetCause())
}

// waitForRecord reads a record as soon as there is one: records are written after the prompt is answered.
func (s *session) waitForRecord(ctx context.Context, renderID string) (*peciav1.AuditRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := s.prompts.GetAuditRecord(ctx, &peciav1.GetAuditRecordRequest{RenderId: renderID})
		if err == nil {
			return answer.GetRecord(), nil
		}
		failure := client.FailureOf(err)
		if failure.Code != codes.Unavailable && failure.Code != codes.NotFound {
			return nil, failure
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, failure
		}
	}
}

func (s *session) replay(ctx context.Context, c *check, request *peciav1.ReplayRequest) *peciav1.ReplayResult {
	answer, err := s.prompts.Replay(ctx, request)
	c.noError("Replay", err)
	return answer.GetResult()
}

// claim asks whether a payload gives what a receipt says; the server needs no record for that.
func claim(receipt *peciav1.Receipt, payload *peciav1.DerivedPayload) *peciav1.ReplayRequest {
	return &peciav1.ReplayRequest{Subject: &peciav1.ReplayRequest_Claim{
		Claim: &peciav1.ReceiptClaim{Receipt: receipt, Payload: payload},
	}}
}
