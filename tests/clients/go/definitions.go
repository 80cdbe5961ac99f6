package main

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"

	"example.com/pecia-conformance/canonical"
	peciav1 "example.com/pecia-go/pecia/v1"
)

const (
	rolePrefix = "ROLE_"
	slotPrefix = "SLOT_"
)

func roleName(role peciav1.Role) string {
	return strings.ToLower(strings.TrimPrefix(role.String(), rolePrefix))
}

func slotName(slot peciav1.Slot) string {
	return strings.ToLower(strings.TrimPrefix(slot.String(), slotPrefix))
}

// bundleSlot is one slot of a bundle by its canonical name.
type bundleSlot struct {
	name string
	ref  *peciav1.TemplateRef
}

// slotsOf lists the slots in the order of a prompt.
func slotsOf(bundle *peciav1.BundleDefinition) []bundleSlot {
	slots := bundle.GetSlots()
	return []bundleSlot{
		{slotName(peciav1.Slot_SLOT_SYSTEM), slots.GetSystem()},
		{slotName(peciav1.Slot_SLOT_PERSONALITY), slots.GetPersonality()},
		{slotName(peciav1.Slot_SLOT_ACTIVITY), slots.GetActivity()},
		{slotName(peciav1.Slot_SLOT_TASK), slots.GetTask()},
	}
}

// templateHashes are the hashes of a template, by the canonical forms of template.proto.
type templateHashes struct{ content, constraints, definition string }

// hashTemplate computes them for a template without constraints; those have a canonical form of their own.
func hashTemplate(given *peciav1.TemplateDefinition) (hashes templateHashes, err error) {
	if proto.Size(given.GetConstraints()) > 0 {
		return hashes, errors.New("hashing constraints is not part of this program")
	}
	content, err := canonical.Text(given.GetContent())
	if err != nil {
		return hashes, err
	}
	content = strings.TrimRight(content, "\n")
	hashes.content = canonical.Hash([]byte(content))
	if hashes.constraints, err = hashJSON(map[string]any{}); err != nil {
		return hashes, err
	}
	hashes.definition, err = hashJSON(map[string]any{
		"adapter_version": given.GetAdapterVersion(),
		"constraints":     map[string]any{},
		"content":         content,
		"description":     given.GetDescription(),
		"format":          "pecia.template-definition.v1",
		"role":            roleName(given.GetRole()),
		"semver":          given.GetSemver(),
		"template_id":     given.GetTemplateId(),
	})
	return hashes, err
}

// hashBundleDefinition computes a definition_hash by the canonical form of bundle.proto.
func hashBundleDefinition(given *peciav1.BundleDefinition) (string, error) {
	slots := map[string]any{}
	for _, slot := range slotsOf(given) {
		slots[slot.name] = map[string]any{
			"semver":      slot.ref.GetSemver(),
			"template_id": slot.ref.GetTemplateId(),
		}
	}
	tags := []any{}
	for _, tag := range given.GetTags() {
		tags = append(tags, tag)
	}
	return hashJSON(map[string]any{
		"bundle_id":   given.GetBundleId(),
		"description": given.GetDescription(),
		"format":      "pecia.bundle-definition.v1",
		"semver":      given.GetSemver(),
		"slots":       slots,
		"tags":        tags,
	})
}

// hashBundle computes a bundle_hash, which is that of what is rendered, by the canonical form of bundle.proto.
func hashBundle(given *peciav1.InlineBundle) (string, error) {
	templates := map[string]*peciav1.TemplateDefinition{}
	for _, template := range given.GetTemplates() {
		templates[refKey(template.GetTemplateId(), template.GetSemver())] = template
	}
	slots := map[string]any{}
	for _, slot := range slotsOf(given.GetBundle()) {
		template := templates[refKey(slot.ref.GetTemplateId(), slot.ref.GetSemver())]
		hashes, err := hashTemplate(template)
		if err != nil {
			return "", err
		}
		slots[slot.name] = map[string]any{
			"constraints_hash": hashes.constraints,
			"content_hash":     hashes.content,
			"role":             roleName(template.GetRole()),
			"semver":           template.GetSemver(),
			"template_id":      template.GetTemplateId(),
		}
	}
	return hashJSON(map[string]any{
		"bundle_id": given.GetBundle().GetBundleId(),
		"format":    "pecia.bundle.v1",
		"semver":    given.GetBundle().GetSemver(),
		"slots":     slots,
	})
}

func hashJSON(value any) (string, error) {
	text, err := canonical.JSON(value)
	return canonical.Hash(text), err
}
