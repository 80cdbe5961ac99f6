"""Sources of the sound pieces of a directory: what is wrong with the others stops only who asks for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pecia_service.errors import NotFoundError
from pecia_service.registry.model import Bundle, Template, TemplateRef
from pecia_service.rendering.sources.directory import DirectoryContents
from pecia_service.rendering.sources.inline import InlineBundleSource, InlineTemplateSource


class DirectoryBundleSource(InlineBundleSource):
    """Gives the sound bundles of a directory that was read."""

    def __init__(self, contents: DirectoryContents) -> None:
        super().__init__(contents.bundles)
        self._contents = contents

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle; raises NotFoundError, or DirectoryError if a fault may be why it is missing."""
        try:
            return await super().get_bundle(bundle_id, semver)
        except NotFoundError as error:
            raise self._contents.fault(f"bundle {bundle_id}@{semver}") or error from None


class DirectoryTemplateSource(InlineTemplateSource):
    """Gives the sound templates of a directory that was read."""

    def __init__(self, contents: DirectoryContents) -> None:
        super().__init__(contents.templates)
        self._contents = contents

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template; raises NotFoundError, or DirectoryError if a fault may be why it is missing."""
        try:
            return await super().get_template(template_id, semver)
        except NotFoundError as error:
            raise self._contents.fault(f"template {template_id}@{semver}") or error from None

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those that there are; raises DirectoryError if faults may be why others are missing."""
        found = await super().get_templates(refs)
        missing = [f"template {ref}" for ref in dict.fromkeys(refs) if ref not in found]
        if missing and (fault := self._contents.fault(*missing)):
            raise fault
        return found
