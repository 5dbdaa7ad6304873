"""Cleaning rules by name: one file, one line here, one test each."""

from __future__ import annotations

from pipeline.config import CleanConfig
from pipeline.errors import PlanError
from pipeline.rules.agreement import agreement
from pipeline.rules.base import Opinions, Rule, TagEvidence, left_alone
from pipeline.rules.outlier import outlier

RULES: dict[str, Rule] = {
    "outlier": outlier,
    "agreement": agreement,
}


def find_rule(name: str) -> Rule:
    """The rule of that name; it leaves the tags of `clean.spare` alone.

    Raises:
        PlanError: there is none; the message lists the choices.
    """
    if name not in RULES:
        raise PlanError(f"unknown rule {name!r}; choose from: {', '.join(sorted(RULES))}")
    rule = RULES[name]

    def judge(evidence: TagEvidence, config: CleanConfig, seed: int) -> Opinions:
        if evidence.name in config.spare:
            regions = evidence.best_region(evidence.region_scores)[1]
            return left_alone(evidence, regions, f"{evidence.name} is spared: left alone")
        return rule(evidence, config, seed)

    return judge
