package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	peciav1 "example.com/pecia-go/pecia/v1"
)

const (
	version     = "1.0.0"
	nextVersion = "1.1.0"
)

// session is what the cases share.
type session struct {
	prompts  peciav1.PromptServiceClient
	registry peciav1.RegistryServiceClient
	vectors  string
	prefix   string

	// renders are the vectors of whole prompts, by their order in the file.
	renders []vector[renderInput, renderExpected]

	// plain is the inline bundle that payloads are tried with.
	plain *peciav1.InlineBundle

	// published is the bundle that publish stores, and payload one that fits it.
	published *peciav1.InlineBundle
	payload   *peciav1.DerivedPayload

	// isPublished says that the case publish has passed.
	isPublished bool
}

func newSession(conn grpc.ClientConnInterface, vectors, prefix string) (*session, error) {
	s := &session{
		prompts:  peciav1.NewPromptServiceClient(conn),
		registry: peciav1.NewRegistryServiceClient(conn),
		vectors:  vectors,
		prefix:   prefix,
	}
	var err error
	if s.renders, err = load[renderInput, renderExpected](vectors, "renders.json", "renders"); err != nil {
		return nil, err
	}
	for _, v := range s.renders {
		switch v.Name {
		case "plain":
			s.plain, err = v.Input.inlineBundle()
		case "text_and_json":
			if s.published, err = v.Input.inlineBundle(); err == nil {
				s.payload, err = v.Input.Payload.message()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.Name, err)
		}
	}
	if s.plain == nil || s.published == nil {
		return nil, fmt.Errorf("renders.json lacks the vectors plain and text_and_json")
	}
	s.rename(s.published)
	return s, nil
}

// rename gives a bundle and its templates ids of this run: the template of slot s is PREFIX-s.
func (s *session) rename(given *peciav1.InlineBundle) {
	templates := map[string]*peciav1.TemplateDefinition{}
	for _, template := range given.Templates {
		templates[refKey(template.TemplateId, template.Semver)] = template
	}
	for _, slot := range slotsOf(given.Bundle) {
		template := templates[refKey(slot.ref.TemplateId, slot.ref.Semver)]
		template.TemplateId, template.Semver = s.prefix+"-"+slot.name, version
		slot.ref.TemplateId, slot.ref.Semver = template.TemplateId, version
	}
	given.Bundle.BundleId, given.Bundle.Semver = s.prefix+"-bundle", version
}

func refKey(id, semver string) string { return id + "@" + semver }

// exactly names a version of the published bundle.
func (s *session) exactly(semver string) *peciav1.BundleRef {
	return &peciav1.BundleRef{
		BundleId: s.published.Bundle.BundleId,
		Selector: &peciav1.BundleRef_Semver{Semver: semver},
	}
}

// byLabel names whatever version a label of the published bundle points to.
func (s *session) byLabel(label string) *peciav1.BundleRef {
	return &peciav1.BundleRef{
		BundleId: s.published.Bundle.BundleId,
		Selector: &peciav1.BundleRef_Label{Label: label},
	}
}

// renderRequest asks for a prompt of the published bundle.
func renderRequest(bundle *peciav1.BundleRef, payload *peciav1.DerivedPayload) *peciav1.RenderRequest {
	return &peciav1.RenderRequest{
		Source:  &peciav1.RenderRequest_Bundle{Bundle: bundle},
		Payload: payload,
	}
}

// payloadFor is the payload with a task of its own.
func (s *session) payloadFor(task string) *peciav1.DerivedPayload {
	payload := proto.Clone(s.payload).(*peciav1.DerivedPayload)
	payload.Task = proto.String(task)
	return payload
}

// needPublished ends a case that cannot go on without the published bundle.
func (s *session) needPublished(c *check) {
	if !s.isPublished {
		c.fail("setup", "needs the bundle of the case publish, which has failed")
	}
}
