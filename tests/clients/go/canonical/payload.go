package canonical

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	peciav1 "example.com/pecia-go/pecia/v1"
)

// ErrKeyCollision means that two keys of one object are equal once normalised; the service's reason is KEY_COLLISION.
var ErrKeyCollision = errors.New("two keys of one object are equal after normalisation")

// ErrPayload means that a field is missing; the service's reason is PAYLOAD_INVALID.
var ErrPayload = errors.New("a payload needs semantic_traits, activity_level, stress and task")

// Payload returns the canonical form of a payload; its [Hash] is a receipt's payload_hash.
//
// Ranges, sizes and depths are not checked: that is the service's part.
func Payload(payload *peciav1.DerivedPayload) ([]byte, error) {
	if payload == nil || payload.SemanticTraits == nil || payload.ActivityLevel == nil ||
		payload.Stress == nil || payload.Task == nil {
		return nil, ErrPayload
	}
	traits, err := object(payload.GetSemanticTraits())
	if err != nil {
		return nil, err
	}
	task, err := Text(payload.GetTask())
	if err != nil {
		return nil, err
	}
	return JSON(map[string]any{
		"activity_level":  payload.GetActivityLevel(),
		"semantic_traits": traits,
		"stress":          payload.GetStress(),
		"task":            task,
	})
}

// object turns a Struct into what [JSON] takes, with normalised keys and strings.
//
// [structpb.Struct.AsMap] would do without the normalising, but writes NaN as text.
func object(given *structpb.Struct) (map[string]any, error) {
	members := make(map[string]any, len(given.GetFields()))
	for name, field := range given.GetFields() {
		key, err := Text(name)
		if err != nil {
			return nil, err
		}
		if _, taken := members[key]; taken {
			return nil, ErrKeyCollision
		}
		if members[key], err = value(field); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func value(given *structpb.Value) (any, error) {
	switch kind := given.GetKind().(type) {
	case *structpb.Value_NullValue:
		return nil, nil
	case *structpb.Value_BoolValue:
		return kind.BoolValue, nil
	case *structpb.Value_NumberValue:
		return kind.NumberValue, nil
	case *structpb.Value_StringValue:
		return Text(kind.StringValue)
	case *structpb.Value_StructValue:
		return object(kind.StructValue)
	case *structpb.Value_ListValue:
		items := make([]any, 0, len(kind.ListValue.GetValues()))
		for _, each := range kind.ListValue.GetValues() {
			item, err := value(each)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return items, nil
	default:
		return nil, fmt.Errorf("a Value of kind %T has no JSON", kind)
	}
}
