"""Who may do what: credentials, callers, and scopes."""
