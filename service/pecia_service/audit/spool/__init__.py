"""Local files in which audit records wait for the database."""
