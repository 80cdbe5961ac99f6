"""The `pecia` command line."""
