package main

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"example.com/pecia-conformance/canonical"
	"example.com/pecia-conformance/client"
	peciav1 "example.com/pecia-go/pecia/v1"
)

type canonicalExpected struct{ Canonical, SHA256 string }

// checkCanonical writes JSON values and numbers as RFC 8785 does, without the server.
func checkCanonical(_ context.Context, s *session, c *check) {
	values, err := load[string, canonicalExpected](s.vectors, "canonical_json.json", "values")
	c.noError("vectors", err)
	for _, v := range values {
		var value any
		c.noError(v.Name, json.Unmarshal([]byte(v.Input), &value))
		text, err := canonical.JSON(value)
		c.noError(v.Name, err)
		equal(c, v.Name+": canonical", v.Expected.Canonical, string(text))
		equal(c, v.Name+": sha256", v.Expected.SHA256, canonical.Hash(text))
	}
	numbers, err := load[string, canonicalExpected](s.vectors, "canonical_json.json", "numbers")
	c.noError("vectors", err)
	for _, v := range numbers {
		bits, err := strconv.ParseUint(v.Input, 16, 64)
		c.noError(v.Name, err)
		text, err := canonical.JSON(math.Float64frombits(bits))
		c.noError(v.Name, err)
		equal(c, v.Name, v.Expected.Canonical, string(text))
	}
}

// checkPayloadHash recomputes what a receipt says of a payload, and sees bad payloads refused.
func checkPayloadHash(ctx context.Context, s *session, c *check) {
	checkTexts(ctx, s, c)
	type payloadExpected struct {
		Canonical   string
		PayloadHash string `json:"payload_hash"`
	}
	payloads, err := load[payloadInput, payloadExpected](s.vectors, "payloads.json", "payloads")
	c.noError("vectors", err)
	for _, v := range payloads {
		payload, err := v.Input.message()
		c.noError(v.Name, err)
		if v.Error != nil {
			equal(c, v.Name+": reason", v.Error.Reason, s.refusalOf(ctx, c, v.Name, payload).Reason)
			continue
		}
		text, err := canonical.Payload(payload)
		c.noError(v.Name, err)
		equal(c, v.Name+": canonical", v.Expected.Canonical, string(text))
		equal(c, v.Name+": payload_hash", v.Expected.PayloadHash, canonical.Hash(text))
		answer, err := s.try(ctx, payload)
		c.noError(v.Name, err)
		equal(c, v.Name+": receipt", v.Expected.PayloadHash, answer.GetReceipt().GetPayloadHash())
	}
}

// checkTexts normalises texts. What Go's Unicode is too old for is left out, and named in the note.
func checkTexts(ctx context.Context, s *session, c *check) {
	type textExpected struct {
		Normalised string
		UTF8SHA256 string `json:"utf8_sha256"`
	}
	texts, err := load[string, textExpected](s.vectors, "text.json", "texts")
	c.noError("vectors", err)
	var leftOut []string
	for _, v := range texts {
		if v.Error != nil {
			payload := s.payloadFor(v.Input)
			equal(c, v.Name+": reason", v.Error.Reason, s.refusalOf(ctx, c, v.Name, payload).Reason)
			continue
		}
		text, err := canonical.Text(v.Input)
		c.noError(v.Name, err)
		if text != v.Expected.Normalised && canonical.Unassigned(v.Input) {
			leftOut = append(leftOut, v.Name)
			continue
		}
		equal(c, v.Name+": normalised", v.Expected.Normalised, text)
		equal(c, v.Name+": sha256", v.Expected.UTF8SHA256, canonical.Hash([]byte(text)))
	}
	if len(leftOut) > 0 {
		unicode := strings.TrimSuffix(canonical.UnicodeVersion, ".0")
		c.note = "NFC of Unicode " + unicode + ": " + strings.Join(leftOut, ", ") + " left out"
	}
}

// try renders the plain bundle for a payload and leaves no record.
func (s *session) try(ctx context.Context, payload *peciav1.DerivedPayload) (*peciav1.RenderResponse, error) {
	return s.prompts.Render(ctx, &peciav1.RenderRequest{
		Source:       &peciav1.RenderRequest_InlineBundle{InlineBundle: s.plain},
		Payload:      payload,
		ValidateOnly: true,
	})
}

// refusalOf returns why a payload is refused, and ends the case if it is not.
func (s *session) refusalOf(
	ctx context.Context, c *check, where string, payload *peciav1.DerivedPayload,
) *client.Failure {
	_, err := s.try(ctx, payload)
	if err == nil {
		c.fail(where, "expected a refusal, found a prompt")
	}
	return client.FailureOf(err)
}

// ownPayloadHash computes a payload_hash in Go.
func ownPayloadHash(c *check, where string, payload *peciav1.DerivedPayload) string {
	text, err := canonical.Payload(payload)
	c.noError(where, err)
	return canonical.Hash(text)
}

// withoutStress leaves out a field that a payload must have.
func withoutStress(payload *peciav1.DerivedPayload) *peciav1.DerivedPayload {
	payload = proto.Clone(payload).(*peciav1.DerivedPayload)
	payload.Stress = nil
	return payload
}
