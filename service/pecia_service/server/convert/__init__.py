"""Between protobuf messages and domain values: every field checked by the domain, none twice."""
