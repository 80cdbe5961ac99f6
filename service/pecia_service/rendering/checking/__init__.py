"""CheckOutput: what a model answered, measured against a bundle's effective constraints. Pure."""

from pecia_service.rendering.checking.checker import OutputChecker
from pecia_service.rendering.checking.model import CheckResult, ConstraintRule, Severity, Violation

__all__ = ["CheckResult", "ConstraintRule", "OutputChecker", "Severity", "Violation"]
