"""The length of a text in bytes, which no SQL function gives on every engine."""

from __future__ import annotations

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class byte_length(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it stands for
    """The bytes of a text in UTF-8, 0 for null; PostgreSQL does not read a long text for it."""

    type = Integer()
    inherit_cache = True


@compiles(byte_length)
def _standard(element: byte_length, compiler: SQLCompiler, **options: object) -> str:
    return f"coalesce(octet_length({compiler.process(element.clauses, **options)}), 0)"


@compiles(byte_length, "sqlite")
def _sqlite(element: byte_length, compiler: SQLCompiler, **options: object) -> str:
    # SQLite has octet_length only since 3.43.
    return f"coalesce(length(CAST({compiler.process(element.clauses, **options)} AS BLOB)), 0)"
