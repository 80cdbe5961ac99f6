// Command conformance shows that a Go program can use Pecia with nothing but the generated client.
//
// It runs the cases of tests/clients/README.md against a live server, over the golden vectors, and prints one line of
// JSON for each.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"google.golang.org/grpc"

	"example.com/pecia-conformance/client"
)

// cases are run in this order: later ones use what publish has published.
var cases = []struct {
	name string
	run  func(context.Context, *session, *check)
}{
	{"canonical", checkCanonical},
	{"payload_hash", checkPayloadHash},
	{"publish", checkPublish},
	{"label", checkLabel},
	{"render", checkRender},
	{"batch", checkBatch},
	{"stream", checkStream},
	{"replay", checkReplay},
	{"error", checkError},
	{"deadline", checkDeadline},
}

// result is one line of the output.
type result struct {
	Case    string `json:"case"`
	Outcome string `json:"outcome"`
	Checks  int    `json:"checks"`
	Detail  string `json:"detail"`
}

const (
	passed    = "passed"
	notPassed = "failed"
)

func main() {
	target := flag.String("target", "", "the server's `HOST:PORT`: no TLS, no credentials")
	vectors := flag.String("vectors", "", "the `folder` of the golden vectors")
	prefix := flag.String("prefix", "", "what every id that is published begins `with`")
	flag.Parse()
	if *target == "" || *vectors == "" || *prefix == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	allPassed, err := runAll(*target, *vectors, *prefix)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	if err != nil || !allPassed {
		os.Exit(1)
	}
}

// runAll runs every case, and reports whether all of them passed.
func runAll(target, vectors, prefix string) (bool, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// A retry could hide what the cases are to show.
	conn, err := client.Dial(target, client.Security{}, grpc.WithDisableRetry())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	session, err := newSession(conn, vectors, prefix)
	if err != nil {
		return false, err
	}
	allPassed := true
	output := json.NewEncoder(os.Stdout)
	for _, each := range cases {
		result := runCase(ctx, each.name, session, each.run)
		allPassed = allPassed && result.Outcome == passed
		if err := output.Encode(result); err != nil {
			return false, err
		}
	}
	return allPassed, nil
}

// runCase runs one case to its end or its first failure.
func runCase(
	ctx context.Context, name string, s *session, run func(context.Context, *session, *check),
) (outcome result) {
	c := &check{}
	defer func() {
		outcome = result{name, passed, c.count, c.note}
		if reason := recover(); reason != nil {
			failure, expected := reason.(failed)
			if !expected {
				panic(reason)
			}
			outcome.Outcome, outcome.Detail = notPassed, failure.detail
		}
	}()
	run(ctx, s, c)
	return
}
