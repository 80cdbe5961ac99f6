/** The case `error`: what an error carries beside its status. */

import { Code, decodeBinaryHeader } from "@connectrpc/connect";
import { ErrorInfoSchema, StatusSchema } from "@pecia/client/google/rpc";

import { failureOf } from "../../client/failure.js";
import { publishedBundle, type Case } from "../context.js";

const MISSING = "9.9.9";

export const error: Case = async (context, checks) => {
  const { registry } = context.pecia;
  const { bundleId } = publishedBundle(context);

  const missing = await checks.refused(
    "unknown version",
    Code.NotFound,
    registry.getBundle({ bundle: { bundleId, selector: { case: "semver", value: MISSING } } }),
  );
  const status = decodeBinaryHeader(missing.metadata.get("grpc-status-details-bin") ?? "", StatusSchema);
  checks.equal("unknown version, code of the details", Code.NotFound, status.code);
  const infos = missing.findDetails(ErrorInfoSchema);
  checks.equal("unknown version, number of ErrorInfo", 1, infos.length);
  checks.equal("unknown version, domain", "pecia", infos[0]?.domain);
  checks.equal("unknown version, reason", "BUNDLE_NOT_FOUND", infos[0]?.reason);
  checks.equal("unknown version, bundle_id", bundleId, infos[0]?.metadata["bundle_id"]);
  checks.equal("unknown version, semver", MISSING, infos[0]?.metadata["semver"]);

  const malformed = await checks.refused(
    "malformed id",
    Code.InvalidArgument,
    registry.getBundle({ bundle: { bundleId: "not an id", selector: { case: "semver", value: "1.0.0" } } }),
  );
  const { reason, violations } = failureOf(malformed);
  checks.equal("malformed id, reason", "IDENTIFIER_INVALID", reason);
  checks.equal("malformed id, number of violations", 1, violations.length);
  checks.equal("malformed id, field", "bundle.bundle_id", violations[0]?.field);
  return undefined;
};
