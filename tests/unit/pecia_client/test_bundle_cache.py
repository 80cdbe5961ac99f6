"""The bounds of the offline cache are checked when it is made."""

import math

import pytest
from pecia_client.offline import BundleCache, BundleCacheStatistics


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_entries": 0},
        {"max_bytes": 0},
        {"max_age": -1.0},
        {"max_age": math.inf},
        {"max_age": math.nan},
        {"max_stale": -1.0},
        {"max_stale": math.inf},
        {"label_staleness": -1.0},
        {"label_staleness": 301.0},
    ],
)
def test_a_bound_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    """Nothing is kept for ever, and no label longer than its bundle."""
    with pytest.raises(ValueError, match=r"max_entries and|are seconds, 0 or more|must be at most max_age"):
        BundleCache(**wrong)  # type: ignore[arg-type]  # that is the point


def test_an_empty_cache_has_done_nothing() -> None:
    """All counts are zero, also after forgetting."""
    cache = BundleCache()
    cache.forget()
    cache.forget("companion-task@1.0.0")
    assert BundleCacheStatistics(0, 0, 0, 0, 0, 0, 0) == cache.statistics()
