"""Pecia: a deterministic prompt service."""
