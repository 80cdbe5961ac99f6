"""Where bundles and templates come from: the call, a directory, the database, or a cache before any."""
