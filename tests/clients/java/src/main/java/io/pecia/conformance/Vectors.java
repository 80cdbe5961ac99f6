package io.pecia.conformance;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import io.pecia.v1.BundleDefinition;
import io.pecia.v1.BundleSlots;
import io.pecia.v1.Constraints;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.InlineBundle;
import io.pecia.v1.Role;
import io.pecia.v1.TemplateDefinition;
import io.pecia.v1.TemplateRef;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The golden vectors, and the messages of the contract that their JSON stands for. */
record Vectors(Path folder) {
    /** One vector: either what is {@code expected} of its input, or the {@code reason} that it is refused with. */
    record Vector(String name, Value input, Map<String, Value> expected, String reason) {
        boolean isRefused() {
            return !reason.isEmpty();
        }

        String expected(String field) {
            return expected.get(field).getStringValue();
        }

        Map<String, Value> fields() {
            return input.getStructValue().getFieldsMap();
        }
    }

    /** Reads one list of one file. */
    List<Vector> list(String file, String list) throws IOException {
        Struct.Builder content = Struct.newBuilder();
        try (Reader reader = Files.newBufferedReader(folder.resolve(file))) {
            JsonFormat.parser().merge(reader, content);
        }
        return items(content.getFieldsOrThrow(list)).stream().map(Vectors::vector).toList();
    }

    /** Reads the vector of a name. */
    Vector named(String file, String list, String name) throws IOException {
        return list(file, list).stream()
                .filter(vector -> vector.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new CheckFailure(file + " has no vector " + name));
    }

    /** Returns a payload; a field that its JSON does not have is not set. */
    static DerivedPayload payload(Value json) {
        Map<String, Value> fields = json.getStructValue().getFieldsMap();
        DerivedPayload.Builder payload = DerivedPayload.newBuilder();
        if (fields.containsKey("semantic_traits")) {
            payload.setSemanticTraits(fields.get("semantic_traits").getStructValue());
        }
        if (fields.containsKey("activity_level")) {
            payload.setActivityLevel(fields.get("activity_level").getNumberValue());
        }
        if (fields.containsKey("stress")) {
            payload.setStress(fields.get("stress").getNumberValue());
        }
        if (fields.containsKey("task")) {
            payload.setTask(fields.get("task").getStringValue());
        }
        return payload.build();
    }

    /** Returns the bundle and the templates of an input as they go with a request. */
    static InlineBundle inlineBundle(Vector vector) {
        InlineBundle.Builder inline = InlineBundle.newBuilder().setBundle(bundle(vector.fields().get("bundle")));
        items(vector.fields().get("templates")).forEach(each -> inline.addTemplates(template(each)));
        return inline.build();
    }

    static List<Value> items(Value list) {
        return list.getListValue().getValuesList();
    }

    private static Vector vector(Value json) {
        Map<String, Value> fields = json.getStructValue().getFieldsMap();
        return new Vector(
                text(fields, "name"),
                fields.get("input"),
                object(fields, "expected"),
                text(object(fields, "error"), "reason"));
    }

    private static TemplateDefinition template(Value json) {
        Map<String, Value> fields = json.getStructValue().getFieldsMap();
        return TemplateDefinition.newBuilder()
                .setTemplateId(text(fields, "template_id"))
                .setSemver(text(fields, "semver"))
                .setRole(Role.valueOf("ROLE_" + text(fields, "role").toUpperCase(Locale.ROOT)))
                .setContent(text(fields, "content"))
                .setConstraints(constraints(object(fields, "constraints")))
                .setAdapterVersion(text(fields, "adapter_version"))
                .setDescription(text(fields, "description"))
                .build();
    }

    private static Constraints constraints(Map<String, Value> json) {
        Constraints.Builder constraints = Constraints.newBuilder();
        json.forEach(
                (key, value) -> {
                    if (value.hasNullValue()) {
                        return;
                    }
                    switch (key) {
                        case "FORBIDDEN_TOKENS" ->
                                items(value).forEach(each -> constraints.addForbiddenTokens(each.getStringValue()));
                        case "MAX_SENTENCE_LENGTH" -> constraints.setMaxSentenceLength((int) value.getNumberValue());
                        case "MAX_PARAGRAPHS" -> constraints.setMaxParagraphs((int) value.getNumberValue());
                        case "NO_EMOJI" -> constraints.setNoEmoji(value.getBoolValue());
                        case "ASSERTIVENESS_LEVEL" -> constraints.setAssertivenessLevel(value.getNumberValue());
                        default -> constraints.getFurtherBuilder().putFields(key, value);
                    }
                });
        return constraints.build();
    }

    private static BundleDefinition bundle(Value json) {
        Map<String, Value> fields = json.getStructValue().getFieldsMap();
        Map<String, Value> slots = object(fields, "slots");
        BundleDefinition.Builder bundle =
                BundleDefinition.newBuilder()
                        .setBundleId(text(fields, "bundle_id"))
                        .setSemver(text(fields, "semver"))
                        .setDescription(text(fields, "description"))
                        .setSlots(
                                BundleSlots.newBuilder()
                                        .setSystem(templateRef(slots.get("system")))
                                        .setPersonality(templateRef(slots.get("personality")))
                                        .setActivity(templateRef(slots.get("activity")))
                                        .setTask(templateRef(slots.get("task"))));
        items(fields.getOrDefault("tags", Value.getDefaultInstance()))
                .forEach(tag -> bundle.addTags(tag.getStringValue()));
        return bundle.build();
    }

    private static TemplateRef templateRef(Value json) {
        Map<String, Value> fields = json.getStructValue().getFieldsMap();
        return TemplateRef.newBuilder()
                .setTemplateId(text(fields, "template_id"))
                .setSemver(text(fields, "semver"))
                .build();
    }

    private static String text(Map<String, Value> fields, String name) {
        return fields.getOrDefault(name, Value.getDefaultInstance()).getStringValue();
    }

    private static Map<String, Value> object(Map<String, Value> fields, String name) {
        return fields.getOrDefault(name, Value.getDefaultInstance()).getStructValue().getFieldsMap();
    }
}
