package client

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	peciav1 "example.com/pecia-go/pecia/v1"
)

// busyServer is UNAVAILABLE for its first calls, and notes when each call has its deadline.
type busyServer struct {
	peciav1.UnimplementedPromptServiceServer
	busyFor int
	left    []time.Duration
}

func (s *busyServer) take(ctx context.Context) error {
	var left time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	s.left = append(s.left, left)
	if len(s.left) <= s.busyFor {
		return status.Error(codes.Unavailable, "busy")
	}
	return nil
}

func (s *busyServer) Render(ctx context.Context, _ *peciav1.RenderRequest) (*peciav1.RenderResponse, error) {
	return &peciav1.RenderResponse{Prompt: "p"}, s.take(ctx)
}

func (s *busyServer) RenderStream(stream peciav1.PromptService_RenderStreamServer) error {
	return s.take(stream.Context())
}

func (s *busyServer) VerifyAudit(
	_ *peciav1.VerifyAuditRequest, stream peciav1.PromptService_VerifyAuditServer,
) error {
	return s.take(stream.Context())
}

// serve starts a server inside this process and connects to it by Dial.
func serve(t *testing.T, server *busyServer) peciav1.PromptServiceClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	grpcServer := grpc.NewServer()
	peciav1.RegisterPromptServiceServer(grpcServer, server)
	go grpcServer.Serve(listener)
	t.Cleanup(grpcServer.Stop)
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	conn, err := Dial("passthrough:///in-process", Security{}, grpc.WithContextDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return peciav1.NewPromptServiceClient(conn)
}

// A call is tried again while the server is UNAVAILABLE, within one deadline of twenty seconds.
func TestUnaryCall(t *testing.T) {
	server := &busyServer{busyFor: 2}
	answer, err := serve(t, server).Render(t.Context(), &peciav1.RenderRequest{})
	if err != nil || answer.GetPrompt() != "p" {
		t.Fatalf("expected a prompt, found %v, %v", answer, err)
	}
	if len(server.left) != 3 {
		t.Errorf("expected 3 attempts, found %d", len(server.left))
	}
	longest, shortest := slices.Max(server.left), slices.Min(server.left)
	if shortest <= 0 || longest > 20*time.Second {
		t.Errorf("expected deadlines of up to 20 s, found %v", server.left)
	}
}

// After four attempts the failure is the caller's.
func TestAttemptsEnd(t *testing.T) {
	server := &busyServer{busyFor: 9}
	_, err := serve(t, server).Render(t.Context(), &peciav1.RenderRequest{})
	if failure := FailureOf(err); failure == nil || failure.Code != codes.Unavailable {
		t.Errorf("expected Unavailable, found %v", err)
	}
	if len(server.left) != 4 {
		t.Errorf("expected 4 attempts, found %d", len(server.left))
	}
}

// RenderStream is neither retried nor limited in time.
func TestRenderStream(t *testing.T) {
	server := &busyServer{busyFor: 1}
	stream, err := serve(t, server).RenderStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("expected Unavailable, found %v", err)
	}
	if !slices.Equal(server.left, []time.Duration{0}) {
		t.Errorf("expected one attempt without a deadline, found %v", server.left)
	}
}

// VerifyAudit is tried again, and may last as long as it needs.
func TestVerifyAudit(t *testing.T) {
	server := &busyServer{busyFor: 1}
	stream, err := serve(t, server).VerifyAudit(t.Context(), &peciav1.VerifyAuditRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// Ended without an answer, which is no failure.
	if _, err = stream.Recv(); err == nil || status.Code(err) == codes.Unavailable {
		t.Errorf("expected the end of the stream, found %v", err)
	}
	if !slices.Equal(server.left, []time.Duration{0, 0}) {
		t.Errorf("expected two attempts without a deadline, found %v", server.left)
	}
}

// An API key is never sent without TLS.
func TestAPIKeyNeedsTLS(t *testing.T) {
	if conn, err := Dial("127.0.0.1:1", Security{APIKey: "key"}); err == nil {
		conn.Close()
		t.Error("expected a refusal, found a connection")
	}
}
