package io.pecia.conformance;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.Values;
import io.pecia.conformance.Vectors.Vector;
import io.pecia.toolkit.CanonicalJson;
import io.pecia.toolkit.Hashes;
import io.pecia.v1.BundleDefinition;
import io.pecia.v1.BundleSlots;
import io.pecia.v1.InlineBundle;
import io.pecia.v1.Role;
import io.pecia.v1.TemplateDefinition;
import io.pecia.v1.TemplateRef;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** The bundle that the case publish publishes, and its hashes by template.proto and bundle.proto. */
record Definitions(Map<String, TemplateDefinition> templates, BundleDefinition bundle) {
    /** Takes the definitions of a vector under ids of this run: PREFIX-system and so on, and PREFIX-bundle. */
    static Definitions of(Vector vector, Session session) throws IOException {
        InlineBundle given = Vectors.inlineBundle(vector);
        BundleSlots slots = given.getBundle().getSlots();
        Map<String, TemplateDefinition> templates = new LinkedHashMap<>();
        templates.put("system", find(given, slots.getSystem()));
        templates.put("personality", find(given, slots.getPersonality()));
        templates.put("activity", find(given, slots.getActivity()));
        templates.put("task", find(given, slots.getTask()));
        templates.replaceAll(
                (slot, template) ->
                        template.toBuilder().setTemplateId(session.id(slot)).setSemver(Session.SEMVER).build());
        BundleDefinition bundle =
                given.getBundle().toBuilder()
                        .setBundleId(session.id("bundle"))
                        .setSemver(Session.SEMVER)
                        .setSlots(
                                BundleSlots.newBuilder()
                                        .setSystem(ref(templates.get("system")))
                                        .setPersonality(ref(templates.get("personality")))
                                        .setActivity(ref(templates.get("activity")))
                                        .setTask(ref(templates.get("task"))))
                        .build();
        return new Definitions(templates, bundle);
    }

    static String contentHash(TemplateDefinition template) {
        return Hashes.sha256(content(template));
    }

    static String definitionHash(TemplateDefinition template) {
        return hash(
                Struct.newBuilder()
                        .putFields("format", Values.of("pecia.template-definition.v1"))
                        .putFields("template_id", Values.of(template.getTemplateId()))
                        .putFields("semver", Values.of(template.getSemver()))
                        .putFields("role", Values.of(name(template.getRole())))
                        .putFields("content", Values.of(content(template)))
                        .putFields("constraints", Values.of(constraints(template)))
                        .putFields("adapter_version", Values.of(Hashes.normalise(template.getAdapterVersion())))
                        .putFields("description", Values.of(Hashes.normalise(template.getDescription()))));
    }

    String definitionHash() {
        Struct.Builder slots = Struct.newBuilder();
        templates.forEach((slot, template) -> slots.putFields(slot, Values.of(identity(template).build())));
        return hash(
                Struct.newBuilder()
                        .putFields("format", Values.of("pecia.bundle-definition.v1"))
                        .putFields("bundle_id", Values.of(bundle.getBundleId()))
                        .putFields("semver", Values.of(bundle.getSemver()))
                        .putFields("slots", Values.of(slots.build()))
                        .putFields("tags", Values.of(bundle.getTagsList().stream().map(Values::of).toList()))
                        .putFields("description", Values.of(Hashes.normalise(bundle.getDescription()))));
    }

    String bundleHash() {
        Struct.Builder slots = Struct.newBuilder();
        templates.forEach((slot, template) -> slots.putFields(slot, rendered(template)));
        return hash(
                Struct.newBuilder()
                        .putFields("format", Values.of("pecia.bundle.v1"))
                        .putFields("bundle_id", Values.of(bundle.getBundleId()))
                        .putFields("semver", Values.of(bundle.getSemver()))
                        .putFields("slots", Values.of(slots.build())));
    }

    private static Value rendered(TemplateDefinition template) {
        return Values.of(
                identity(template)
                        .putFields("role", Values.of(name(template.getRole())))
                        .putFields("content_hash", Values.of(contentHash(template)))
                        .putFields("constraints_hash", Values.of(hash(constraints(template).toBuilder())))
                        .build());
    }

    private static Struct.Builder identity(TemplateDefinition template) {
        return Struct.newBuilder()
                .putFields("template_id", Values.of(template.getTemplateId()))
                .putFields("semver", Values.of(template.getSemver()));
    }

    private static String content(TemplateDefinition template) {
        return Hashes.normalise(template.getContent()).replaceFirst("\n+\\z", "");
    }

    /** The definitions that are published here have none; constraints.proto tells the form of others. */
    private static Struct constraints(TemplateDefinition template) {
        if (template.getConstraints().getSerializedSize() != 0) {
            throw new CheckFailure("the templates of the vector have constraints, which this program does not hash");
        }
        return Struct.getDefaultInstance();
    }

    private static String hash(Struct.Builder object) {
        return Hashes.sha256(CanonicalJson.write(object.build()));
    }

    private static String name(Role role) {
        return role.name().substring("ROLE_".length()).toLowerCase(Locale.ROOT);
    }

    private static TemplateDefinition find(InlineBundle bundle, TemplateRef ref) {
        return bundle.getTemplatesList().stream()
                .filter(template -> ref(template).equals(ref))
                .findFirst()
                .orElseThrow(() -> new CheckFailure("the vector has no template " + ref.getTemplateId()));
    }

    private static TemplateRef ref(TemplateDefinition template) {
        return TemplateRef.newBuilder()
                .setTemplateId(template.getTemplateId())
                .setSemver(template.getSemver())
                .build();
    }
}
