"""Pieces that are given in the call and stored nowhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pecia_service.registry.model import Bundle, Template, TemplateRef, bundle_not_found, template_not_found


class InlineBundleSource:
    """Gives the bundles that it was made with."""

    def __init__(self, bundles: Iterable[Bundle]) -> None:
        self._bundles = {(bundle.bundle_id, bundle.semver): bundle for bundle in bundles}

    async def get_bundle(self, bundle_id: str, semver: str) -> Bundle:
        """Return a bundle; raises NotFoundError (BUNDLE_NOT_FOUND)."""
        try:
            return self._bundles[bundle_id, semver]
        except KeyError:
            raise bundle_not_found(bundle_id, semver) from None


class InlineTemplateSource:
    """Gives the templates that it was made with."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._templates = {template.ref: template for template in templates}

    async def get_template(self, template_id: str, semver: str) -> Template:
        """Return a template; raises NotFoundError (TEMPLATE_NOT_FOUND)."""
        try:
            return self._templates[TemplateRef(template_id, semver)]
        except KeyError:
            raise template_not_found(template_id, semver) from None

    async def get_templates(self, refs: Collection[TemplateRef]) -> Mapping[TemplateRef, Template]:
        """Return those of the templates that it has."""
        return {ref: self._templates[ref] for ref in refs if ref in self._templates}
