// Package client holds what every Go program needs around the generated stubs: a connection with retries and
// deadlines, and errors with their reasons. Copy it.
package client

import (
	"context"
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// maxMessageBytes covers every default limit of the service; gRPC alone would refuse answers beyond 4 MiB.
const maxMessageBytes = 64 << 20

// keepaliveTime is above the five minutes below which gRPC servers drop a client that pings.
const keepaliveTime = 330 * time.Second

// retryPolicy makes up to four attempts while the service is UNAVAILABLE.
//
// All RPCs of Pecia may be made again: they change nothing, or nothing more. Set a request_id where a label moves by
// its etag, so that the second attempt answers what the first has done.
const retryPolicy = `{
	"maxAttempts": 4,
	"initialBackoff": "0.1s",
	"maxBackoff": "2s",
	"backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE"]
}`

// serviceConfig gives calls with one answer a deadline of twenty seconds; a shorter one of their context wins.
//
// How long a stream may last only the caller knows, and of a RenderStream also which requests were answered: none of
// them has a deadline of its own, and RenderStream is not retried. While most calls fail there are no retries, so
// that they don't keep down a server in trouble.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [
		{
			"name": [
				{"service": "pecia.v1.PromptService"},
				{"service": "pecia.v1.RegistryService"},
				{"service": "pecia.v1.AdminService"}
			],
			"timeout": "20s",
			"retryPolicy": ` + retryPolicy + `
		},
		{
			"name": [
				{"service": "pecia.v1.PromptService", "method": "VerifyAudit"},
				{"service": "pecia.v1.PromptService", "method": "PruneAuditRecords"}
			],
			"retryPolicy": ` + retryPolicy + `
		},
		{"name": [{"service": "pecia.v1.PromptService", "method": "RenderStream"}]}
	],
	"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

// Security says how to trust a server and be known to it; the zero value is no TLS and no key.
type Security struct {
	// TLS is nil for a connection without TLS. Client certificates and private roots go in here.
	TLS *tls.Config

	// APIKey is what `pecia keys create` printed. It is only ever sent over TLS.
	APIKey string
}

// Dial makes a connection, to be shared by all goroutines of a program and closed at its end.
//
// It connects in the background: an unreachable server is an error of the first call. Behind one name there may be
// several servers, which take turns. Further options come last, so that they win.
func Dial(target string, security Security, further ...grpc.DialOption) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxMessageBytes),
			grpc.MaxCallSendMsgSize(maxMessageBytes),
		),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime}),
	}
	if security.TLS != nil {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(security.TLS)))
	}
	if security.APIKey != "" {
		options = append(options, grpc.WithPerRPCCredentials(apiKey(security.APIKey)))
	}
	return grpc.NewClient(target, append(options, further...)...)
}

// apiKey sends an API key along with each call.
type apiKey string

func (key apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

func (apiKey) RequireTransportSecurity() bool { return true }
