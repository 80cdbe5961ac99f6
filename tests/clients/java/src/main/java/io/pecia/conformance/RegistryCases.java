package io.pecia.conformance;

import io.grpc.Status;
import io.pecia.toolkit.Hashes;
import io.pecia.v1.BundleRef;
import io.pecia.v1.DerivedPayload;
import io.pecia.v1.Label;
import io.pecia.v1.LabelAction;
import io.pecia.v1.LabelEvent;
import io.pecia.v1.ListLabelEventsRequest;
import io.pecia.v1.PublishBundleRequest;
import io.pecia.v1.PublishBundleResponse;
import io.pecia.v1.PublishTemplateRequest;
import io.pecia.v1.PublishTemplateResponse;
import io.pecia.v1.RenderRequest;
import io.pecia.v1.RenderResponse;
import io.pecia.v1.SetLabelRequest;
import io.pecia.v1.TemplateDefinition;
import java.io.IOException;
import java.util.List;

/** The cases about what the registry keeps. */
final class RegistryCases {
    private static final String LABEL = "production";
    private static final String NEXT = "1.1.0";

    private RegistryCases() {}

    static String publish(Session session, Checks checks) throws IOException {
        Definitions definitions = Definitions.of(session.published(), session);
        for (TemplateDefinition template : definitions.templates().values()) {
            publishTemplate(session, checks, template);
        }
        TemplateDefinition first = definitions.templates().values().iterator().next();
        TemplateDefinition changed = first.toBuilder().setContent(first.getContent() + " changed").build();
        checks.refused(
                "the first template with other content",
                Status.Code.ALREADY_EXISTS,
                "TEMPLATE_ALREADY_EXISTS",
                () -> session.registry().publishTemplate(request(changed)));
        publishBundle(session, checks, definitions);
        session.markPublished();
        return "";
    }

    private static void publishTemplate(Session session, Checks checks, TemplateDefinition template) {
        String where = template.getTemplateId();
        PublishTemplateResponse answer = session.registry().publishTemplate(request(template));
        checks.equal(where + ": created", true, answer.getCreated());
        checks.equal(
                where + ": content_hash", Definitions.contentHash(template), answer.getTemplate().getContentHash());
        checks.equal(
                where + ": definition_hash",
                Definitions.definitionHash(template),
                answer.getTemplate().getDefinitionHash());
        PublishTemplateResponse again = session.registry().publishTemplate(request(template));
        checks.equal(where + " again: created", false, again.getCreated());
        checks.equal(
                where + " again: definition_hash",
                answer.getTemplate().getDefinitionHash(),
                again.getTemplate().getDefinitionHash());
    }

    private static void publishBundle(Session session, Checks checks, Definitions definitions) {
        PublishBundleRequest request = PublishBundleRequest.newBuilder().setBundle(definitions.bundle()).build();
        PublishBundleResponse answer = session.registry().publishBundle(request);
        checks.equal("bundle: created", true, answer.getCreated());
        checks.equal(
                "bundle: definition_hash", definitions.definitionHash(), answer.getBundle().getDefinitionHash());
        checks.equal("bundle: bundle_hash", definitions.bundleHash(), answer.getBundle().getBundleHash());
        PublishBundleResponse again = session.registry().publishBundle(request);
        checks.equal("bundle again: created", false, again.getCreated());
        checks.equal(
                "bundle again: definition_hash",
                answer.getBundle().getDefinitionHash(),
                again.getBundle().getDefinitionHash());
    }

    static String label(Session session, Checks checks) throws IOException {
        BundleRef bundle = session.publishedBundle(Session.SEMVER);

        // The empty etag says: the label must not exist.
        Label first = set(session, Session.SEMVER, "");
        checks.equal("the label", Session.SEMVER, first.getSemver());

        RenderResponse rendered = renderByLabel(session);
        checks.equal("render by label: semver", Session.SEMVER, rendered.getReceipt().getSemver());
        checks.equal(
                "render by label: prompt_hash",
                Hashes.promptHash(rendered.getPrompt()),
                rendered.getReceipt().getPromptHash());

        checks.refused(
                "set with another etag",
                Status.Code.ABORTED,
                "ETAG_MISMATCH",
                () -> set(session, Session.SEMVER, "not-an-etag"));

        session.registry()
                .publishBundle(
                        PublishBundleRequest.newBuilder()
                                .setBundle(
                                        Definitions.of(session.published(), session).bundle().toBuilder()
                                                .setSemver(NEXT))
                                .build());
        Label moved = set(session, NEXT, first.getEtag());
        checks.equal("the label that has moved", NEXT, moved.getSemver());
        checks.equal("etag changed", true, !moved.getEtag().equals(first.getEtag()));
        checks.equal("render by moved label: semver", NEXT, renderByLabel(session).getReceipt().getSemver());

        List<LabelEvent> events =
                session.registry()
                        .listLabelEvents(
                                ListLabelEventsRequest.newBuilder()
                                        .setBundleId(bundle.getBundleId())
                                        .setLabel(LABEL)
                                        .build())
                        .getEventsList();
        checks.require(events.size() == 2, "expected 2 events of the label, found " + events.size());
        checkEvent(checks, events.get(0), 2, Session.SEMVER, NEXT);
        checkEvent(checks, events.get(1), 1, "", Session.SEMVER);
        return "";
    }

    private static Label set(Session session, String semver, String etag) {
        SetLabelRequest request =
                SetLabelRequest.newBuilder()
                        .setBundleId(session.id("bundle"))
                        .setLabel(LABEL)
                        .setSemver(semver)
                        .setEtag(etag)
                        .build();
        return session.registry().setLabel(request).getLabel();
    }

    private static RenderResponse renderByLabel(Session session) throws IOException {
        DerivedPayload payload = session.payload();
        BundleRef bundle = BundleRef.newBuilder().setBundleId(session.id("bundle")).setLabel(LABEL).build();
        return session.prompts()
                .render(RenderRequest.newBuilder().setBundle(bundle).setPayload(payload).build());
    }

    private static void checkEvent(Checks checks, LabelEvent event, long revision, String from, String to) {
        String where = "event " + revision;
        checks.equal(where + ": revision", revision, event.getRevision());
        checks.equal(where + ": action", LabelAction.LABEL_ACTION_SET, event.getAction());
        checks.equal(where + ": from_semver", from, event.getFromSemver());
        checks.equal(where + ": to_semver", to, event.getToSemver());
    }

    private static PublishTemplateRequest request(TemplateDefinition template) {
        return PublishTemplateRequest.newBuilder().setTemplate(template).build();
    }
}
