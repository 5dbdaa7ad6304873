"""Cleaning by other means on the same evidence: what each drops of the captions' tags.

`paper` is our own rule with RAM's fixed cut. The plain loop is what the paper's words come to:
K-Means++ per tag, the farthest tenth goes. cleanlab (Apache-2.0, the `bench` extra) judges by
held-out scores of the whole images, as our engine does; it is left out where it is not installed.
No cleaning at all is the last.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from pipeline.calibrate import HELD_OUT_SCORES, dense_scores
from pipeline.clean import HELD, Clean, tags_of
from pipeline.config import Config
from pipeline.dataset import CAPTION_TAGS, LABELS, multi_hot
from pipeline.errors import PlanError
from pipeline.rules import find_rule
from pipeline.rules.base import TagEvidence
from pipeline.stage import Batch
from storage.lake import Lake

Pairs = set[tuple[str, int]]
"""(image ID, tag ID)."""
CLUSTERS = 4
CUT = 0.1


def peers(lake: Lake, config: Config) -> dict[str, Pairs]:
    """What each peer drops, by its name."""
    units = lake.query("SELECT DISTINCT tag_id::VARCHAR AS unit FROM current_regions ORDER BY unit")
    names = units.column("unit").to_pylist()
    inputs = {name: lake.query(sql, {"units": names}) for name, sql in Clean.inputs.items()}
    batch = Batch(tuple(names), inputs)
    fixed = config.model_copy(update={"clean": config.clean.model_copy(update={"cut": "paper"})})
    rules: dict[str, Callable[[TagEvidence], np.ndarray]] = {
        "paper": lambda tag: np.array(
            [o.verdict == "drop" for o in find_rule("outlier")(tag, fixed.clean, config.seed)]
        ),
        "plain K-Means loop": lambda tag: _farthest(tag, config.seed),
    }
    found: dict[str, Pairs] = {name: set() for name in rules}
    for tag_id, _, evidence in tags_of(batch, lake.batches):
        for name, rule in rules.items():
            dropped = np.flatnonzero(rule(evidence))
            found[name] |= {(evidence.image_ids[row], tag_id) for row in dropped}
    if find_spec("cleanlab"):
        found["cleanlab"] = _cleanlab(lake)
    return found | {"no cleaning": set()}


def _farthest(tag: TagEvidence, seed: int) -> np.ndarray:
    """Images whose every region is among the farthest tenth from its own centre."""
    from sklearn.cluster import KMeans

    if not isinstance(tag.features, np.ndarray):
        raise PlanError(f"{tag.name}: more than {HELD} regions; a plain loop wants them in memory")
    count = min(CLUSTERS, len(tag.features))
    fitted = KMeans(count, init="k-means++", n_init=1, random_state=seed).fit(tag.features)
    away = np.linalg.norm(tag.features - fitted.cluster_centers_[fitted.labels_], axis=1)
    nearest = np.full(tag.images, np.inf)
    np.minimum.at(nearest, tag.of_image, away)
    cut = int(CUT * tag.images)
    dropped = np.zeros(tag.images, bool)
    dropped[np.argsort(nearest)[tag.images - cut :]] = True
    return dropped


def _cleanlab(lake: Lake) -> Pairs:
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class

    images, vocabulary, scores = dense_scores(lake.query(HELD_OUT_SCORES), lake.query(LABELS))
    given = multi_hot(images, vocabulary, lake.query(CAPTION_TAGS))
    labels = [np.flatnonzero(row).tolist() for row in given]
    issues = find_multilabel_issues_per_class(labels, scores.astype(np.float64), n_jobs=1)
    rows, columns = np.nonzero(np.asarray(issues) & (given > 0))
    return {
        (images.ids[row], vocabulary.tag_ids[column])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    }
