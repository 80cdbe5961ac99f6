package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	peciav1 "example.com/pecia-go/pecia/v1"
)

// vector is one golden vector: what comes of an input, or the error that it is refused with.
type vector[Input, Expected any] struct {
	Name     string
	Input    Input
	Expected *Expected
	Error    *struct{ Reason string }
}

// load reads one list of a file of vectors; each of its vectors has either what is expected or an error.
func load[Input, Expected any](folder, file, list string) ([]vector[Input, Expected], error) {
	data, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return nil, err
	}
	var lists map[string]json.RawMessage
	if err := json.Unmarshal(data, &lists); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var vectors []vector[Input, Expected]
	if err := json.Unmarshal(lists[list], &vectors); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", list, file, err)
	}
	for _, v := range vectors {
		if (v.Expected == nil) == (v.Error == nil) {
			return nil, fmt.Errorf("%s of %s: needs either expected or error", v.Name, file)
		}
	}
	return vectors, nil
}

type renderInput struct {
	Bundle    bundleInput
	Templates []templateInput
	Payload   payloadInput
}

type renderExpected struct {
	Prompt          string
	PromptHash      string `json:"prompt_hash"`
	Parts           []partExpected
	BundleHash      string `json:"bundle_hash"`
	PayloadHash     string `json:"payload_hash"`
	RendererVersion string `json:"renderer_version"`
}

type partExpected struct{ Slot, Role, Text string }

func (given renderInput) inlineBundle() (*peciav1.InlineBundle, error) {
	inline := &peciav1.InlineBundle{Bundle: given.Bundle.message()}
	for _, template := range given.Templates {
		message, err := template.message()
		if err != nil {
			return nil, err
		}
		inline.Templates = append(inline.Templates, message)
	}
	return inline, nil
}

type payloadInput struct {
	SemanticTraits map[string]any `json:"semantic_traits"`
	ActivityLevel  *float64       `json:"activity_level"`
	Stress         *float64
	Task           *string
}

// message leaves out the fields that the input leaves out: an absent one is refused, not read as zero.
func (given payloadInput) message() (*peciav1.DerivedPayload, error) {
	message := &peciav1.DerivedPayload{
		ActivityLevel: given.ActivityLevel,
		Stress:        given.Stress,
		Task:          given.Task,
	}
	if given.SemanticTraits == nil {
		return message, nil
	}
	traits, err := structpb.NewStruct(given.SemanticTraits)
	message.SemanticTraits = traits
	return message, err
}

type bundleInput struct {
	BundleID    string `json:"bundle_id"`
	Semver      string
	Slots       map[string]refInput
	Tags        []string
	Description string
}

type refInput struct {
	TemplateID string `json:"template_id"`
	Semver     string
}

func (given bundleInput) message() *peciav1.BundleDefinition {
	message := &peciav1.BundleDefinition{
		BundleId:    given.BundleID,
		Semver:      given.Semver,
		Tags:        given.Tags,
		Description: given.Description,
		Slots: &peciav1.BundleSlots{
			System:      &peciav1.TemplateRef{},
			Personality: &peciav1.TemplateRef{},
			Activity:    &peciav1.TemplateRef{},
			Task:        &peciav1.TemplateRef{},
		},
	}
	for _, slot := range slotsOf(message) {
		slot.ref.TemplateId, slot.ref.Semver = given.Slots[slot.name].TemplateID, given.Slots[slot.name].Semver
	}
	return message
}

type templateInput struct {
	TemplateID     string `json:"template_id"`
	Semver         string
	Role           string
	Content        string
	Constraints    map[string]json.RawMessage
	AdapterVersion string `json:"adapter_version"`
	Description    string
}

func (given templateInput) message() (*peciav1.TemplateDefinition, error) {
	constraints, err := constraintsMessage(given.Constraints)
	return &peciav1.TemplateDefinition{
		TemplateId:     given.TemplateID,
		Semver:         given.Semver,
		Role:           peciav1.Role(peciav1.Role_value[rolePrefix+strings.ToUpper(given.Role)]),
		Content:        given.Content,
		Constraints:    constraints,
		AdapterVersion: given.AdapterVersion,
		Description:    given.Description,
	}, err
}

// constraintsMessage puts the five canonical keys into their fields, and all others into `further`.
func constraintsMessage(given map[string]json.RawMessage) (*peciav1.Constraints, error) {
	message := &peciav1.Constraints{}
	fields := map[string]any{
		"FORBIDDEN_TOKENS":    &message.ForbiddenTokens,
		"MAX_SENTENCE_LENGTH": &message.MaxSentenceLength,
		"MAX_PARAGRAPHS":      &message.MaxParagraphs,
		"NO_EMOJI":            &message.NoEmoji,
		"ASSERTIVENESS_LEVEL": &message.AssertivenessLevel,
	}
	further := map[string]any{}
	for key, text := range given {
		if field, known := fields[key]; known {
			if err := json.Unmarshal(text, field); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			continue
		}
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		further[key] = value
	}
	if len(further) == 0 {
		return message, nil
	}
	var err error
	message.Further, err = structpb.NewStruct(further)
	return message, err
}
