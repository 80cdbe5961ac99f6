/** The case `publish`: four templates and a bundle, each hashed here too. */

import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { TemplateDefinitionSchema } from "@pecia/client";

import {
  bundleDefinitionHash,
  bundleHash,
  contentHash,
  templateDefinitionHash,
} from "../../canonical/definition.js";
import { failureOf } from "../../client/failure.js";
import type { Case } from "../context.js";
import { bundleOf, templateOf } from "../definitions.js";
import { named } from "../vectors.js";

const SEMVER = "1.0.0";

export const publish: Case = async (context, checks) => {
  const { registry } = context.pecia;
  const { input } = named(context.vectors.renders, "text_and_json");
  const renamed = (id: string): string => `${context.prefix}-${id}`;
  const templates = input.templates.map((given) =>
    templateOf({ ...given, template_id: renamed(given.template_id), semver: SEMVER }),
  );

  for (const template of templates) {
    const id = template.templateId;
    const first = await registry.publishTemplate({ template });
    checks.equal(`${id}, created`, true, first.created);
    checks.equal(`${id}, content_hash`, contentHash(template), first.template?.contentHash);
    checks.equal(`${id}, definition_hash`, templateDefinitionHash(template), first.template?.definitionHash);
    const again = await registry.publishTemplate({ template });
    checks.equal(`${id} again, created`, false, again.created);
    checks.equal(`${id} again, definition_hash`, first.template?.definitionHash, again.template?.definitionHash);
  }

  for (const template of templates.slice(0, 1)) {
    const changed = create(TemplateDefinitionSchema, { ...template, content: `${template.content} changed` });
    const where = `${template.templateId} with another content`;
    const refused = await checks.refused(where, Code.AlreadyExists, registry.publishTemplate({ template: changed }));
    checks.equal(`${where}, reason`, "TEMPLATE_ALREADY_EXISTS", failureOf(refused).reason);
  }

  const reference = (id: string): { template_id: string; semver: string } => ({
    template_id: renamed(id),
    semver: SEMVER,
  });
  const bundle = bundleOf({
    ...input.bundle,
    bundle_id: renamed("bundle"),
    semver: SEMVER,
    slots: {
      system: reference("system"),
      personality: reference("personality"),
      activity: reference("activity"),
      task: reference("task"),
    },
  });
  const first = await registry.publishBundle({ bundle });
  checks.equal("bundle, created", true, first.created);
  checks.equal("bundle, definition_hash", bundleDefinitionHash(bundle), first.bundle?.definitionHash);
  checks.equal("bundle, bundle_hash", bundleHash(bundle, templates), first.bundle?.bundleHash);
  const again = await registry.publishBundle({ bundle });
  checks.equal("bundle again, created", false, again.created);
  checks.equal("bundle again, definition_hash", first.bundle?.definitionHash, again.bundle?.definitionHash);
  context.published = bundle;
  return undefined;
};
