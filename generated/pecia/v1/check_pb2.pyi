from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConstraintRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSTRAINT_RULE_UNSPECIFIED: _ClassVar[ConstraintRule]
    CONSTRAINT_RULE_FORBIDDEN_TOKEN: _ClassVar[ConstraintRule]
    CONSTRAINT_RULE_SENTENCE_LENGTH: _ClassVar[ConstraintRule]
    CONSTRAINT_RULE_PARAGRAPHS: _ClassVar[ConstraintRule]
    CONSTRAINT_RULE_EMOJI: _ClassVar[ConstraintRule]
    CONSTRAINT_RULE_ASSERTIVENESS: _ClassVar[ConstraintRule]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_WARNING: _ClassVar[Severity]
    SEVERITY_ERROR: _ClassVar[Severity]
CONSTRAINT_RULE_UNSPECIFIED: ConstraintRule
CONSTRAINT_RULE_FORBIDDEN_TOKEN: ConstraintRule
CONSTRAINT_RULE_SENTENCE_LENGTH: ConstraintRule
CONSTRAINT_RULE_PARAGRAPHS: ConstraintRule
CONSTRAINT_RULE_EMOJI: ConstraintRule
CONSTRAINT_RULE_ASSERTIVENESS: ConstraintRule
SEVERITY_UNSPECIFIED: Severity
SEVERITY_WARNING: Severity
SEVERITY_ERROR: Severity

class Violation(_message.Message):
    __slots__ = ("rule", "severity", "message", "start", "end", "actual", "limit")
    RULE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    rule: ConstraintRule
    severity: Severity
    message: str
    start: int
    end: int
    actual: float
    limit: float
    def __init__(self, rule: _Optional[_Union[ConstraintRule, str]] = ..., severity: _Optional[_Union[Severity, str]] = ..., message: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., actual: _Optional[float] = ..., limit: _Optional[float] = ...) -> None: ...
