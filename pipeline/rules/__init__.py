"""Cleaning rules by name: one file, one line here, one test each."""

from __future__ import annotations

from pipeline.errors import PlanError
from pipeline.rules.agreement import agreement
from pipeline.rules.base import Rule
from pipeline.rules.outlier import outlier

RULES: dict[str, Rule] = {
    "outlier": outlier,
    "agreement": agreement,
}


def find_rule(name: str) -> Rule:
    """The rule of that name.

    Raises:
        PlanError: there is none; the message lists the choices.
    """
    if name not in RULES:
        raise PlanError(f"unknown rule {name!r}; choose from: {', '.join(sorted(RULES))}")
    return RULES[name]
