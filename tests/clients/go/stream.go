package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peciav1 "example.com/pecia-go/pecia/v1"
)

// checkStream renders 100 prompts on one stream, reading while it sends.
func checkStream(ctx context.Context, s *session, c *check) {
	s.needPublished(c)
	const size = 100
	requests := make(map[string]*peciav1.RenderRequest, size)
	var ids []string
	for i := range size {
		id := fmt.Sprintf("%s-%d", s.prefix, i)
		ids = append(ids, id)
		requests[id] = renderRequest(s.exactly(version), s.payloadFor(fmt.Sprintf("item %d", i)))
	}
	// The service config gives streams no deadline.
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	stream, err := s.prompts.RenderStream(ctx)
	c.noError("RenderStream", err)
	sent := make(chan error, 1)
	go func() { sent <- sendAll(stream, ids, requests) }()
	answers, err := receiveAll(stream)
	c.noError("RenderStream", err)
	c.noError("sending", <-sent)

	equal(c, "answers", size, len(answers))
	var answered []string
	for _, answer := range answers {
		answered = append(answered, answer.GetCorrelationId())
	}
	slices.Sort(ids)
	slices.Sort(answered)
	equal(c, "correlation ids", strings.Join(ids, " "), strings.Join(answered, " "))
	for _, answer := range answers {
		id := answer.GetCorrelationId()
		checkOutcome(c, id, requests[id].GetPayload(), answer.GetOutcome())
	}
}

// sendAll sends the requests and ends this side of the stream.
func sendAll(
	stream peciav1.PromptService_RenderStreamClient, ids []string, requests map[string]*peciav1.RenderRequest,
) error {
	for _, id := range ids {
		request := &peciav1.RenderStreamRequest{CorrelationId: id, Request: requests[id]}
		if err := stream.Send(request); err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

// receiveAll reads to the end of the stream; answers come in any order.
func receiveAll(stream peciav1.PromptService_RenderStreamClient) ([]*peciav1.RenderStreamResponse, error) {
	var answers []*peciav1.RenderStreamResponse
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

// checkDeadline lets a stream run into its deadline, after which the connection still works.
func checkDeadline(ctx context.Context, s *session, c *check) {
	s.needPublished(c)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	stream, err := s.prompts.RenderStream(short)
	c.noError("RenderStream", err)
	_, err = stream.Recv()
	equal(c, "RenderStream", codes.DeadlineExceeded, status.Code(err))

	answer, err := s.prompts.Render(ctx, renderRequest(s.exactly(version), s.payload))
	c.noError("Render", err)
	equal(c, "Render: semver", version, answer.GetReceipt().GetSemver())
}
