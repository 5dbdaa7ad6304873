"""Cleaning by ourselves and by other means on the same evidence: what each drops, how each ranks.

`paper` is our own rule with RAM's fixed cut. The plain loop is what the paper's words come to:
K-Means++ per tag, the farthest tenth goes. Both cut a share of every tag, so they rank by the place
within the tag. cleanlab (Apache-2.0, the `bench` extra) judges by held-out scores of the whole
images, as our engine does; it is left out where it is not installed. No cleaning at all is the
last.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from scipy.stats import rankdata

from bench.ranking import Bools, Method, Pair
from pipeline.calibrate import HELD_OUT_SCORES, dense_scores
from pipeline.clean import HELD, Clean, tags_of, with_scores
from pipeline.columns import Floats
from pipeline.config import Config
from pipeline.dataset import CAPTION_TAGS, LABELS, multi_hot
from pipeline.errors import PlanError
from pipeline.rules import find_rule
from pipeline.rules.base import TagEvidence
from pipeline.stage import Batch
from storage.lake import Lake

CLUSTERS = 4
CUT = 0.1
_DROPPED = "SELECT image_id, tag_id FROM dropped_tags"
# `agreement` gives the probability that a tag is wrong, from all that is known of it.
_SUSPICION = """
    SELECT image_id, tag_id, score FROM current_verdicts
    WHERE rule = 'agreement' AND NOT isnan(score)
"""


def ours(lake: Lake) -> Method:
    """What the lake's own cleaning dropped, ranked by the probability of being wrong."""
    gone, score = lake.query(_DROPPED).to_pydict(), lake.query(_SUSPICION).to_pydict()
    ranked = zip(score["image_id"], score["tag_id"], score["score"], strict=True)
    return Method(
        set(zip(gone["image_id"], gone["tag_id"], strict=True)),
        {(image, tag): value for image, tag, value in ranked},
    )


def peers(lake: Lake, config: Config) -> dict[str, Method]:
    """What the others make of the same lake, by name."""
    units = lake.query("SELECT DISTINCT tag_id::VARCHAR AS unit FROM current_regions ORDER BY unit")
    names = units.column("unit").to_pylist()
    batch = Batch.read(Clean.inputs, lake.query, names)
    fixed = config.clean.model_copy(update={"cut": "paper"})

    def paper(tag: TagEvidence) -> tuple[list[bool], Floats]:
        opinions = find_rule("outlier")(tag, fixed, config.seed)
        return opinions.drop.tolist(), opinions.scores

    rules: dict[str, Callable[[TagEvidence], tuple[list[bool], Floats]]] = {
        "paper": paper, "plain K-Means loop": lambda tag: farthest(tag, config.seed),
    }  # fmt: skip
    dropped: dict[str, set[Pair]] = {name: set() for name in rules}
    suspicion: dict[str, dict[Pair, float]] = {name: {} for name in rules}
    for tag_id, _, evidence in tags_of(with_scores(batch)[0], lake.batches):
        pairs = [(image_id, tag_id) for image_id in evidence.image_ids]
        for name, rule in rules.items():
            gone, away = rule(evidence)
            dropped[name] |= {pair for pair, is_gone in zip(pairs, gone, strict=True) if is_gone}
            if not np.isnan(away).any():  # a tag that is left alone is not ranked
                place = (rankdata(away) - 0.5) / len(away)
                suspicion[name] |= dict(zip(pairs, place.tolist(), strict=True))
    found = {name: Method(dropped[name], suspicion[name]) for name in rules}
    if find_spec("cleanlab"):
        found["cleanlab"] = _cleanlab(lake)
    return found | {"no cleaning": Method(set(), None)}


def farthest(tag: TagEvidence, seed: int) -> tuple[list[bool], Floats]:
    """Which images (M,) are of the farthest tenth, by the nearest region's distance (M,) to its
    own centre."""
    from sklearn.cluster import KMeans

    if not isinstance(tag.features, np.ndarray):
        raise PlanError(f"{tag.name}: more than {HELD} regions; a plain loop wants them in memory")
    count = min(CLUSTERS, len(tag.features))
    fitted = KMeans(count, init="k-means++", n_init=1, random_state=seed).fit(tag.features)
    away = np.linalg.norm(tag.features - fitted.cluster_centers_[fitted.labels_], axis=1)
    nearest = np.full(tag.images, np.inf, np.float32)
    np.minimum.at(nearest, tag.of_image, away)
    dropped = np.zeros(tag.images, bool)
    dropped[np.argsort(nearest)[tag.images - int(CUT * tag.images) :]] = True
    return dropped.tolist(), nearest


def _cleanlab(lake: Lake) -> Method:
    images, vocabulary, scores = dense_scores(lake.query(HELD_OUT_SCORES), lake.query(LABELS))
    given = multi_hot(images, vocabulary, lake.query(CAPTION_TAGS))
    issues, quality = label_issues(given, scores)
    pairs = {
        (images.ids[row], vocabulary.tag_ids[column]): (row, column)
        for row, column in np.argwhere((given > 0) & ~np.isnan(quality)).tolist()
    }
    return Method(
        {pair for pair, place in pairs.items() if issues[place]},
        {pair: float(1 - quality[place]) for pair, place in pairs.items()},
    )


def label_issues(given: Floats, scores: Floats) -> tuple[Bools, Floats]:
    """Which pairs (N, L) cleanlab takes for wrong, and the quality that it sees in each.

    It wants images with and without a tag; of any other, nothing is an issue and quality is NaN.
    """
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class

    issues, quality = np.zeros(given.shape, bool), np.full(given.shape, np.nan)
    told = given.any(axis=0) & ~given.all(axis=0)
    labels = [np.flatnonzero(row).tolist() for row in given[:, told]]
    odds = scores[:, told].astype(np.float64)
    issues[:, told] = find_multilabel_issues_per_class(labels, odds, n_jobs=1)
    quality[:, told] = get_label_quality_scores_per_class(labels, odds)
    return issues, quality
