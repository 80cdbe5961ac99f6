"""The migrations of the schema, one module each in `versions`; `pecia_service.storage.schema` runs them."""
