"""Cleaning rules on planted evidence: wrong tags go, right ones stay, rare ones are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.metrics import log_odds
from pipeline.config import CleanConfig
from pipeline.errors import PlanError
from pipeline.rules import RULES, find_rule
from pipeline.rules.agreement import agreement
from pipeline.rules.base import TagEvidence
from pipeline.rules.noise import PRIOR_SHARE, support, wrong_posterior
from pipeline.rules.outlier import FAR_COUNTS, PAPER_SHARE, distances, outlier
from tests.pipeline.test_noise import sigmoid

RIGHT, WRONG = 90, 10


def evidence(seed: int = 0, right: int = RIGHT, wrong: int = WRONG, order: int = 0) -> TagEvidence:
    """A tag whose last `wrong` images are not of it: low scores, regions that look otherwise."""
    chance = np.random.default_rng(seed)
    images = right + wrong
    is_wrong = np.arange(images) >= right
    absent = chance.normal(-4, 1, 400)
    scores = np.where(is_wrong, chance.normal(-4, 1, images), chance.normal(1, 1, images))
    centre = np.where(is_wrong[:, None], -1.0, 1.0)
    features = centre + 0.3 * chance.normal(size=(images, 16))
    shuffled = np.random.default_rng(order).permutation(images) if order else np.arange(images)
    region = sigmoid(np.where(is_wrong, -4.0, 2.0) + 0.1 * chance.normal(size=images))
    return TagEvidence(
        name="dog",
        kind="object",
        image_ids=[f"{i:03}" for i in range(images)],
        in_caption=np.ones(images, bool),
        image_scores=sigmoid(scores),
        unseen_scores=np.zeros(0, np.float32),
        absent_scores=sigmoid(absent),
        slope=1.5,
        certain=0.5,
        noise=PRIOR_SHARE,
        look=0.3,
        of_image=np.arange(images)[shuffled],
        region_ids=[f"r{i:03}" for i in shuffled],
        features=features[shuffled].astype(np.float32),
        region_scores=region[shuffled],
        other_scores=np.full(images, 0.3, np.float32),
        other_names=["cat"] * images,
        other_said=np.zeros(images, bool),
    )


def test_of_equal_regions_the_fixed_cut_takes_its_share_alone() -> None:
    alike = replace(evidence(), features=np.ones((RIGHT + WRONG, 16), np.float32))
    opinions = outlier(alike, CleanConfig(cut="paper"), 0)
    assert opinions.drop.sum() == int(PAPER_SHARE * (RIGHT + WRONG))
    assert opinions.scores[opinions.drop].tolist() == [opinions.threshold] * opinions.drop.sum()


@pytest.mark.parametrize("name", sorted(RULES))
def test_wrong_tags_are_dropped_and_right_ones_kept(name: str) -> None:
    opinions = find_rule(name)(evidence(), CleanConfig(), 0)
    assert opinions.drop[RIGHT:].mean() >= 0.7
    assert opinions.drop[:RIGHT].mean() <= 0.03
    assert all(opinions.reasons)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_clean_tag_loses_nothing(name: str) -> None:
    opinions = find_rule(name)(evidence(right=100, wrong=0), CleanConfig(), 0)
    assert opinions.drop.sum() <= 1


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rare_tag_is_left_alone_and_says_so(name: str) -> None:
    opinions = find_rule(name)(evidence(right=3, wrong=2), CleanConfig(), 0)
    assert len(opinions.drop) == len(opinions.reasons) == 5
    assert not opinions.drop.any()
    assert all("left alone" in reason for reason in opinions.reasons)
    everywhere = replace(evidence(), absent_scores=np.zeros(0, np.float32))
    opinions = find_rule(name)(everywhere, CleanConfig(), 0)
    assert not opinions.drop.any()
    assert all("no score of an image without dog" in reason for reason in opinions.reasons)


def test_a_rare_tag_is_weighed_all_the_same() -> None:
    """Nothing of it goes, but who looks through it is told where to begin."""
    opinions = agreement(evidence(right=3, wrong=2), CleanConfig(), 0)
    assert opinions.scores[3:].min() > opinions.scores[:3].max()
    assert np.isnan(opinions.threshold)
    assert all("wrong with probability" in reason for reason in opinions.reasons)
    assert agreement(evidence(right=3, wrong=2), CleanConfig(min_regions=5), 0).drop[3:].any()


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_order_of_regions_does_not_matter(name: str) -> None:
    config = CleanConfig()
    one = find_rule(name)(evidence(), config, 0)
    other = find_rule(name)(evidence(order=7), config, 0)
    assert np.array_equal(one.drop, other.drop)
    assert np.allclose(one.scores, other.scores, atol=1e-5)


def test_the_papers_rule_cuts_a_tenth_whatever_the_noise() -> None:
    """The ablation: also a clean tag loses its farthest tenth."""
    rule = find_rule("outlier")
    for wrong in (0, 10):
        opinions = rule(evidence(right=100 - wrong, wrong=wrong), CleanConfig(cut="paper"), 0)
        assert opinions.drop.sum() == 10


def test_a_tag_with_one_good_region_is_kept() -> None:
    """An image is judged by its best region, not by its worst."""
    tag = evidence()
    wrong_image = len(tag.image_ids) - 1
    good = replace(
        tag,
        of_image=np.append(tag.of_image, wrong_image),
        region_ids=[*tag.region_ids, "extra"],
        features=np.vstack([tag.features, np.ones((1, 16), np.float32)]),
        region_scores=np.append(tag.region_scores, np.float32(0.999)),
        other_scores=np.append(tag.other_scores, np.float32(0.1)),
        other_names=[*tag.other_names, "cat"],
        other_said=np.append(tag.other_said, False),
    )
    for rule in RULES.values():
        assert not rule(good, CleanConfig(), 0).drop[wrong_image]


def test_agreement_names_the_likely_confusion() -> None:
    reason = find_rule("agreement")(evidence(), CleanConfig(), 0).reasons[-1]
    assert "looks more like cat" in reason


def test_those_that_a_budget_left_out_still_say_what_the_tag_looks_like() -> None:
    """Most of the doubtful images are wrong; by their own median none would stand out."""
    tag = replace(evidence(), region_scores=np.full(100, 0.5, np.float32))
    doubtful = np.sort(np.argsort(tag.image_scores)[: WRONG + 8])
    part = replace(
        tag,
        image_ids=[tag.image_ids[row] for row in doubtful],
        in_caption=tag.in_caption[doubtful],
        image_scores=tag.image_scores[doubtful],
        unseen_scores=np.delete(tag.image_scores, doubtful),
        of_image=np.arange(len(doubtful)),
        region_ids=[tag.region_ids[row] for row in doubtful],
        features=np.asarray(tag.features)[doubtful],
        region_scores=tag.region_scores[doubtful],
        other_scores=tag.other_scores[doubtful],
        other_names=[tag.other_names[row] for row in doubtful],
        other_said=tag.other_said[doubtful],
    )
    rule = find_rule("agreement")
    alone = replace(part, unseen_scores=part.unseen_scores[:0])
    expected = rule(tag, CleanConfig(), 0).drop.nonzero()[0].tolist()
    assert len(expected) > 0.8 * WRONG
    assert min(expected) >= RIGHT
    assert doubtful[rule(part, CleanConfig(), 0).drop].tolist() == expected
    assert rule(alone, CleanConfig(), 0).drop.sum() < len(expected) / 2


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_budget_may_leave_fewer_images_than_wrong_tags_are_expected(name: str) -> None:
    """The share that is wrong is of all images; the detector has looked at the doubtful ones."""
    tag = replace(evidence(right=2, wrong=10), unseen_scores=np.full(250, 0.9, np.float32))
    opinions = find_rule(name)(tag, CleanConfig(), 0)
    assert len(opinions.drop) == len(opinions.reasons) == 12
    assert not opinions.drop[:2].any()


@pytest.mark.parametrize("name", sorted(RULES))
def test_judges_that_are_quite_sure_drop_nothing(name: str) -> None:
    tag = replace(evidence(right=100, wrong=0), slope=10.0)
    sure = replace(
        tag, image_scores=np.ones(100, np.float32), absent_scores=np.zeros(9, np.float32)
    )
    assert not find_rule(name)(sure, CleanConfig(), 0).drop.any()


def test_agreement_drops_what_is_certain_enough() -> None:
    """Its cut is that of calibration, whatever it is."""
    tag, rule = evidence(), find_rule("agreement")
    scores = rule(tag, CleanConfig(), 0).scores
    for cut in (0.2, float(np.median(scores)), 0.9):
        found = rule(replace(tag, certain=cut), CleanConfig(), 0)
        assert np.array_equal(found.drop, scores > cut)
        assert found.threshold == cut


def test_a_region_speaks_for_a_tag_and_not_against_it() -> None:
    tag = evidence()
    rule = find_rule("agreement")

    def suspicion(score: float) -> float:
        given = replace(tag, region_scores=np.full(tag.images, score, np.float32))
        return rule(given, CleanConfig(), 0).scores[-1]

    assert suspicion(0.01) == suspicion(0.5) > suspicion(0.9)


def test_a_region_of_another_tag_that_is_said_leaves_none_for_the_tag() -> None:
    tag, rule = evidence(), find_rule("agreement")
    shown = replace(tag, other_scores=np.full(tag.images, 0.9, np.float32))
    one = np.zeros(tag.images, bool)
    one[-1] = True
    said = replace(shown, other_said=one)
    before, after = (rule(given, CleanConfig(), 0) for given in (shown, said))
    assert before.scores[-1] < after.scores[-1]
    assert np.abs(before.scores - after.scores)[:-1].max() < 0.01
    # Judges whose looks tell nothing say nothing against it.
    blind = rule(replace(said, look=0.0), CleanConfig(), 0)
    assert blind.scores[-1] == rule(replace(shown, look=0.0), CleanConfig(), 0).scores[-1]
    assert after.reasons[-1] == before.reasons[-1].replace(
        f"{before.scores[-1]:.2f}", f"{after.scores[-1]:.2f}", 1
    ) + ", which a caption names"  # fmt: skip
    # A region that looks more like the tag itself is its own.
    clear = replace(said, region_scores=np.full(tag.images, 0.99, np.float32))
    unsaid = replace(clear, other_said=tag.other_said)
    far = log_odds(rule(said, CleanConfig(), 0).scores) - log_odds(before.scores)
    near = [log_odds(rule(given, CleanConfig(), 0).scores) for given in (clear, unsaid)]
    assert 0 <= (near[0] - near[1])[-1] < 0.2 < 1 < far[-1]


def test_a_far_region_goes_where_its_image_is_nearly_wrong_enough() -> None:
    """The rest of what a tag must be wrong by, a region far from its centre makes up for."""
    tag, rule = evidence(), find_rule("outlier")
    far = rule(tag, CleanConfig(), 0).drop
    wrong, _ = wrong_posterior(support(tag.image_scores, tag.absent_scores, tag.slope))
    place = int(np.where(far, wrong, 1).argmin())
    for away, gone in ((FAR_COUNTS - 0.05, True), (FAR_COUNTS + 0.05, False)):
        certain = float(sigmoid(log_odds(wrong[place]) + away))
        found = rule(replace(tag, certain=certain), CleanConfig(), 0)
        assert found.drop[place] == gone
        assert not (found.drop & ~far).any()


def test_the_noise_of_a_frequent_tag_is_estimated() -> None:
    estimates = []
    for share in (0.0, 0.1, 0.3):
        tag = evidence(right=int(4000 * (1 - share)), wrong=int(4000 * share))
        posterior, estimate = wrong_posterior(support(tag.image_scores, tag.absent_scores, 1.0))
        assert ((posterior >= 0) & (posterior <= 1)).all()
        assert abs(estimate - share) < 0.1
        estimates.append(estimate)
    assert estimates[0] + 0.02 < estimates[1] < estimates[2] - 0.1


def test_the_noise_of_a_rare_tag_stays_near_the_prior() -> None:
    tag = evidence(right=6, wrong=4)
    _, estimate = wrong_posterior(support(tag.image_scores, tag.absent_scores, 1.0))
    assert abs(estimate - PRIOR_SHARE) < 0.02


@pytest.mark.parametrize("rule", ["agreement", "outlier"])
def test_where_all_seem_clean_less_goes(rule: str) -> None:
    tag = evidence()
    gone = [
        int(find_rule(rule)(replace(tag, noise=noise), CleanConfig(), 0).drop.sum())
        for noise in (0.005, 0.1, 0.3)
    ]
    assert gone[0] <= gone[1] <= gone[2]
    assert gone[0] < gone[2]


def test_more_support_or_a_clearer_region_is_never_surer_to_be_wrong() -> None:
    tag = evidence()
    scores = find_rule("agreement")(tag, CleanConfig(), 0).scores
    # The midpoint moves with the images, so all are raised alike and only regions differ.
    clearer = replace(tag, region_scores=np.minimum(tag.region_scores * 1.5, 0.999))
    better = find_rule("agreement")(clearer, CleanConfig(), 0).scores
    assert (better <= scores + 1e-6).all()
    order = np.argsort(-tag.image_scores[RIGHT:])
    alike = replace(tag, region_scores=np.full_like(tag.region_scores, 0.5))
    flat = find_rule("agreement")(alike, CleanConfig(), 0).scores[RIGHT:]
    assert (np.diff(flat[order]) >= -1e-6).all()


def test_distances_do_not_depend_on_the_seed_of_well_separated_clusters() -> None:
    chance = np.random.default_rng(0)
    centres = 5 * np.eye(4, 16)[chance.integers(0, 4, 120)]
    features = (centres + 0.1 * chance.normal(size=(120, 16))).astype(np.float32)
    features[0] = -5
    for seed in (0, 1):
        assert distances(features, seed).argmax() == 0


def test_an_unknown_rule_lists_the_choices() -> None:
    with pytest.raises(PlanError, match="agreement, outlier"):
        find_rule("agrement")
