package main

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"example.com/pecia-conformance/canonical"
	"example.com/pecia-conformance/client"
	peciav1 "example.com/pecia-go/pecia/v1"
)

// checkPublish publishes a bundle and its templates twice, and sees another template under the same name refused.
func checkPublish(ctx context.Context, s *session, c *check) {
	for _, template := range s.published.Templates {
		s.publishTemplate(ctx, c, template)
	}
	changed := proto.Clone(s.published.Templates[0]).(*peciav1.TemplateDefinition)
	changed.Content += " changed"
	_, err := s.registry.PublishTemplate(ctx, &peciav1.PublishTemplateRequest{Template: changed})
	refused(c, "a changed template", err, codes.AlreadyExists, "TEMPLATE_ALREADY_EXISTS")
	s.publishBundle(ctx, c, s.published)
	s.isPublished = true
}

func (s *session) publishTemplate(ctx context.Context, c *check, template *peciav1.TemplateDefinition) {
	id := template.GetTemplateId()
	hashes, err := hashTemplate(template)
	c.noError(id, err)
	request := &peciav1.PublishTemplateRequest{Template: template}
	first, err := s.registry.PublishTemplate(ctx, request)
	c.noError(id, err)
	equal(c, id+": created", true, first.GetCreated())
	equal(c, id+": content_hash", hashes.content, first.GetTemplate().GetContentHash())
	equal(c, id+": definition_hash", hashes.definition, first.GetTemplate().GetDefinitionHash())
	again, err := s.registry.PublishTemplate(ctx, request)
	c.noError(id+" again", err)
	equal(c, id+" again: created", false, again.GetCreated())
	equal(c, id+" again: definition_hash", hashes.definition, again.GetTemplate().GetDefinitionHash())
}

func (s *session) publishBundle(ctx context.Context, c *check, bundle *peciav1.InlineBundle) {
	id := bundle.GetBundle().GetBundleId()
	definitionHash, err := hashBundleDefinition(bundle.GetBundle())
	c.noError(id, err)
	bundleHash, err := hashBundle(bundle)
	c.noError(id, err)
	request := &peciav1.PublishBundleRequest{Bundle: bundle.GetBundle()}
	first, err := s.registry.PublishBundle(ctx, request)
	c.noError(id, err)
	equal(c, id+": created", true, first.GetCreated())
	equal(c, id+": definition_hash", definitionHash, first.GetBundle().GetDefinitionHash())
	equal(c, id+": bundle_hash", bundleHash, first.GetBundle().GetBundleHash())
	again, err := s.registry.PublishBundle(ctx, request)
	c.noError(id+" again", err)
	equal(c, id+" again: created", false, again.GetCreated())
	equal(c, id+" again: definition_hash", definitionHash, again.GetBundle().GetDefinitionHash())
}

const label = "production"

// checkLabel moves a label by compare-and-set and reads its history.
func checkLabel(ctx context.Context, s *session, c *check) {
	s.needPublished(c)
	created, err := s.setLabel(ctx, version, "")
	c.noError("SetLabel", err)
	equal(c, "SetLabel: semver", version, created.GetLabel().GetSemver())

	answer, err := s.prompts.Render(ctx, renderRequest(s.byLabel(label), s.payload))
	c.noError("Render by label", err)
	equal(c, "Render by label: semver", version, answer.GetReceipt().GetSemver())
	equal(c, "Render by label: prompt_hash",
		canonical.Hash([]byte(answer.GetPrompt())), answer.GetReceipt().GetPromptHash())

	_, err = s.setLabel(ctx, version, "not-an-etag")
	refused(c, "SetLabel with a wrong etag", err, codes.Aborted, "ETAG_MISMATCH")

	s.moveLabel(ctx, c, created.GetLabel().GetEtag())
	answer, err = s.prompts.Render(ctx, renderRequest(s.byLabel(label), s.payload))
	c.noError("Render by the moved label", err)
	equal(c, "Render by the moved label: semver", nextVersion, answer.GetReceipt().GetSemver())

	s.checkHistory(ctx, c)
}

// moveLabel publishes the next version and moves the label to it.
func (s *session) moveLabel(ctx context.Context, c *check, etag string) {
	next := proto.Clone(s.published.Bundle).(*peciav1.BundleDefinition)
	next.Semver = nextVersion
	_, err := s.registry.PublishBundle(ctx, &peciav1.PublishBundleRequest{Bundle: next})
	c.noError("PublishBundle "+nextVersion, err)
	moved, err := s.setLabel(ctx, nextVersion, etag)
	c.noError("SetLabel "+nextVersion, err)
	equal(c, "SetLabel "+nextVersion+": semver", nextVersion, moved.GetLabel().GetSemver())
	equal(c, "SetLabel "+nextVersion+": etag is another", true, moved.GetLabel().GetEtag() != etag)
}

// setLabel sets the label if it has the etag; it must not exist if that is empty.
func (s *session) setLabel(ctx context.Context, semver, etag string) (*peciav1.SetLabelResponse, error) {
	return s.registry.SetLabel(ctx, &peciav1.SetLabelRequest{
		BundleId: s.published.Bundle.BundleId,
		Label:    label,
		Semver:   semver,
		Etag:     proto.String(etag),
	})
}

func (s *session) checkHistory(ctx context.Context, c *check) {
	history, err := s.registry.ListLabelEvents(ctx, &peciav1.ListLabelEventsRequest{
		BundleId: s.published.Bundle.BundleId,
		Label:    label,
	})
	c.noError("ListLabelEvents", err)
	expected := []*peciav1.LabelEvent{
		{Revision: 2, FromSemver: version, ToSemver: nextVersion},
		{Revision: 1, ToSemver: version},
	}
	if len(history.GetEvents()) != len(expected) {
		c.fail("ListLabelEvents", "expected two events, found "+show(history.GetEvents()))
	}
	for i, event := range history.GetEvents() {
		equal(c, "event: revision", expected[i].GetRevision(), event.GetRevision())
		equal(c, "event: action", peciav1.LabelAction_LABEL_ACTION_SET, event.GetAction())
		equal(c, "event: from_semver", expected[i].GetFromSemver(), event.GetFromSemver())
		equal(c, "event: to_semver", expected[i].GetToSemver(), event.GetToSemver())
	}
}

// refused makes two comparisons: the status and the reason of a call that must fail.
func refused(c *check, where string, err error, code codes.Code, reason string) {
	if err == nil {
		c.fail(where, "expected "+reason+", found no error")
	}
	failure := client.FailureOf(err)
	equal(c, where+": code", code, failure.Code)
	equal(c, where+": reason", reason, failure.Reason)
}
