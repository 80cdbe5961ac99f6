"""Render without the server: fetch a bundle's pieces once, prove them, and run the server's renderer here.

Import it only where it is wanted: it needs the pure modules of `pecia_service`, which `pecia_client` itself
does without. A prompt that is rendered here has the same bytes and hashes as one that the server renders, but
it leaves no audit record and has no receipt: nobody can replay it, or prove later that it was made.
"""

from pecia_client.offline.async_renderer import AsyncOfflineRenderer
from pecia_client.offline.cache import BundleCache, BundleCacheStatistics
from pecia_client.offline.render import OfflineRender, render_inline
from pecia_client.offline.renderer import OfflineRenderer

__all__ = [
    "AsyncOfflineRenderer",
    "BundleCache",
    "BundleCacheStatistics",
    "OfflineRender",
    "OfflineRenderer",
    "render_inline",
]
