// Command example renders what the label "production" of the bundle "companion" points to.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/pecia-conformance/client"
	peciav1 "example.com/pecia-go/pecia/v1"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	conn, err := client.Dial("127.0.0.1:50051", client.Security{})
	if err != nil {
		return err
	}
	defer conn.Close()
	prompts := peciav1.NewPromptServiceClient(conn)

	traits, err := structpb.NewStruct(map[string]any{
		"mood":   "calm",
		"person": map[string]any{"name": "Mara", "interests": "ferns"},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	answer, err := prompts.Render(ctx, &peciav1.RenderRequest{
		Source: &peciav1.RenderRequest_Bundle{Bundle: &peciav1.BundleRef{
			BundleId: "companion",
			Selector: &peciav1.BundleRef_Label{Label: "production"},
		}},
		Payload: &peciav1.DerivedPayload{
			SemanticTraits: traits,
			ActivityLevel:  proto.Float64(0.2),
			Stress:         proto.Float64(0.1),
			Task:           proto.String("Plan the day."),
		},
	})
	if failure := client.FailureOf(err); failure != nil {
		if failure.Reason == "LABEL_NOT_FOUND" {
			return fmt.Errorf("nothing is in production yet: %v", failure.Metadata)
		}
		return failure
	}
	fmt.Println(answer.GetPrompt())
	fmt.Println("prompt_hash", answer.GetReceipt().GetPromptHash())
	return nil
}
