"""Revisions, numbered from the oldest; `upgrade` gets operations bound to the migrating connection."""
