package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"example.com/pecia-conformance/canonical"
	"example.com/pecia-conformance/client"
	peciav1 "example.com/pecia-go/pecia/v1"
)

// checkRender renders every vector with its bundle inline, and checks the receipt by hashes of its own.
func checkRender(ctx context.Context, s *session, c *check) {
	for _, v := range s.renders {
		bundle, err := v.Input.inlineBundle()
		c.noError(v.Name, err)
		payload, err := v.Input.Payload.message()
		c.noError(v.Name, err)
		if v.Error != nil && v.Error.Reason == "PROMPT_TOO_LARGE" {
			exceedDefaultLimit(bundle, payload)
		}
		answer, err := s.prompts.Render(ctx, &peciav1.RenderRequest{
			Source:  &peciav1.RenderRequest_InlineBundle{InlineBundle: bundle},
			Payload: payload,
		})
		if v.Error != nil {
			refused(c, v.Name, err, codes.FailedPrecondition, v.Error.Reason)
			continue
		}
		c.noError(v.Name, err)
		checkAnswer(c, v.Name, v.Expected, payload, answer)
	}
}

func checkAnswer(
	c *check, name string, expected *renderExpected, payload *peciav1.DerivedPayload, answer *peciav1.RenderResponse,
) {
	receipt := answer.GetReceipt()
	equal(c, name+": prompt", expected.Prompt, answer.GetPrompt())
	if len(answer.GetParts()) != len(expected.Parts) {
		c.fail(name, fmt.Sprintf("expected %d parts, found %d", len(expected.Parts), len(answer.GetParts())))
	}
	for i, part := range answer.GetParts() {
		where := name + ": parts[" + fmt.Sprint(i) + "]"
		equal(c, where+".slot", expected.Parts[i].Slot, slotName(part.GetSlot()))
		equal(c, where+".role", expected.Parts[i].Role, roleName(part.GetRole()))
		equal(c, where+".text", expected.Parts[i].Text, part.GetText())
	}
	ownPromptHash := canonical.Hash([]byte(answer.GetPrompt()))
	equal(c, name+": prompt_hash of the receipt", ownPromptHash, receipt.GetPromptHash())
	equal(c, name+": own prompt_hash", expected.PromptHash, ownPromptHash)
	ownPayload := ownPayloadHash(c, name, payload)
	equal(c, name+": payload_hash of the receipt", ownPayload, receipt.GetPayloadHash())
	equal(c, name+": own payload_hash", expected.PayloadHash, ownPayload)
	equal(c, name+": bundle_hash", expected.BundleHash, receipt.GetBundleHash())
	equal(c, name+": renderer_version", expected.RendererVersion, receipt.GetRendererVersion())
}

// exceedDefaultLimit makes a prompt of 4 MiB and a little; the limit is 3 MiB unless the server's settings differ.
func exceedDefaultLimit(bundle *peciav1.InlineBundle, payload *peciav1.DerivedPayload) {
	bundle.Templates[0].Content = strings.Repeat("{{task}}", 64)
	payload.Task = proto.String(strings.Repeat("x", 65_536))
}

// checkBatch renders 64 prompts in one call, one of which fails by itself.
func checkBatch(ctx context.Context, s *session, c *check) {
	s.needPublished(c)
	const size, bad = 64, 40
	requests := make([]*peciav1.RenderRequest, size)
	for i := range requests {
		requests[i] = renderRequest(s.exactly(version), s.payloadFor(fmt.Sprintf("item %d", i)))
	}
	requests[bad].Payload = withoutStress(requests[bad].Payload)
	answer, err := s.prompts.RenderBatch(ctx, &peciav1.RenderBatchRequest{Requests: requests})
	c.noError("RenderBatch", err)
	equal(c, "outcomes", size, len(answer.GetOutcomes()))
	for i, outcome := range answer.GetOutcomes() {
		where := fmt.Sprintf("outcome %d", i)
		if i != bad {
			checkOutcome(c, where, requests[i].GetPayload(), outcome)
			continue
		}
		failure := client.FailureOfRender(outcome.GetError())
		if failure == nil {
			c.fail(where, "expected PAYLOAD_INVALID, found a prompt")
		}
		equal(c, where+": code", codes.InvalidArgument, failure.Code)
		equal(c, where+": reason", "PAYLOAD_INVALID", failure.Reason)
		equal(c, where+": violations", "payload.stress", fields(failure))
	}
}

// checkOutcome checks the hashes of one render of several by hashes of its own.
func checkOutcome(c *check, where string, payload *peciav1.DerivedPayload, outcome *peciav1.RenderOutcome) {
	if failure := client.FailureOfRender(outcome.GetError()); failure != nil {
		c.fail(where, failure)
	}
	answer := outcome.GetResponse()
	equal(c, where+": prompt_hash", canonical.Hash([]byte(answer.GetPrompt())), answer.GetReceipt().GetPromptHash())
	equal(c, where+": payload_hash", ownPayloadHash(c, where, payload), answer.GetReceipt().GetPayloadHash())
}

// fields lists the bad fields of a failure, each as often as it was named.
func fields(failure *client.Failure) string {
	names := make([]string, len(failure.Violations))
	for i, violation := range failure.Violations {
		names[i] = violation.Field
	}
	return strings.Join(names, ", ")
}
