package canonical

import (
	"errors"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	peciav1 "example.com/pecia-go/pecia/v1"
)

// Characters without a meaning yet are found; noncharacters will never have one.
func TestUnassigned(t *testing.T) {
	for text, expected := range map[string]bool{
		"": false, "a\u00e5\U0001f600": false, "\ufffe\U0010ffff\ue000": false, "a\u0378": true,
	} {
		if found := Unassigned(text); found != expected {
			t.Errorf("%+q: expected %v, found %v", text, expected, found)
		}
	}
}

// What JSON doesn't have is refused.
func TestRefusedValues(t *testing.T) {
	for _, value := range []any{math.NaN(), math.Inf(1), "\xff", 1, map[string]any{"\xff": nil}, []any{math.Inf(-1)}} {
		if text, err := JSON(value); err == nil {
			t.Errorf("%v: expected an error, found %s", value, text)
		}
	}
}

// What the service refuses of a payload's form has no canonical form.
func TestRefusedPayloads(t *testing.T) {
	number := func(value float64) *structpb.Value { return structpb.NewNumberValue(value) }
	for name, test := range map[string]struct {
		traits   map[string]*structpb.Value
		task     string
		expected error
	}{
		"collision": {map[string]*structpb.Value{"\u00e5": number(1), "a\u030a": number(1)}, "", ErrKeyCollision},
		"U+0000":    {nil, "\x00", ErrText},
		"key":       {map[string]*structpb.Value{"\x00": number(1)}, "", ErrText},
	} {
		_, err := Payload(&peciav1.DerivedPayload{
			SemanticTraits: &structpb.Struct{Fields: test.traits},
			ActivityLevel:  proto.Float64(0),
			Stress:         proto.Float64(0),
			Task:           proto.String(test.task),
		})
		if !errors.Is(err, test.expected) {
			t.Errorf("%s: expected %v, found %v", name, test.expected, err)
		}
	}
	if _, err := Payload(&peciav1.DerivedPayload{}); !errors.Is(err, ErrPayload) {
		t.Errorf("expected %v, found %v", ErrPayload, err)
	}
}
