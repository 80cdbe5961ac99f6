"""Conditions of statements that are built once and given their values each time they are run."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam


def equal(*columns: Column[Any]) -> list[ColumnElement[bool]]:
    """Return the conditions that each column equals the parameter of its name."""
    return [column == bindparam(column.name) for column in columns]


def among(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Return the condition that a column, or a tuple of them, is one of those in the list `parameter`."""
    return column.in_(bindparam(parameter, expanding=True))
