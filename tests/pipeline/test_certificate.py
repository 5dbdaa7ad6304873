"""The certificate on populations whose truth is known: intervals hold it, harm is seen."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.answers import chances, coverage, draw, read_answers, systematic, write_questions
from pipeline.certificate import STRATA, Certificate, certificate, certificate_of, harmed, judged
from pipeline.config import CleanConfig, PublishConfig, load_config
from pipeline.demo import demo_config
from pipeline.errors import HarmError, SourceError
from pipeline.report import write_report
from pipeline.rules import RULES, find_rule
from pipeline.runner import Runner
from storage.lake import Lake
from tests.conftest import Cli
from tests.pipeline.test_rules import evidence

FIGURES = ("precision_before", "precision_after", "recall_before", "recall_after", "lost")


@dataclass
class Population:
    """Pairs by tag and stratum (0 dropped .. 3 below the threshold), and which are right."""

    tag: np.ndarray
    stratum: np.ndarray
    right: np.ndarray

    def truth(self, tag: int | None = None) -> dict[str, float]:
        """What the figures are, of one tag or of all."""
        of = (self.tag == tag) if tag is not None else np.ones(len(self.tag), bool)
        candidate, kept = self.stratum < 3, (self.stratum == 1) | (self.stratum == 2)

        def count(*parts: np.ndarray) -> int:
            return int(np.logical_and.reduce([of, *parts]).sum())

        return {
            "precision_before": count(candidate, self.right) / count(candidate),
            "precision_after": count(kept, self.right) / count(kept),
            "recall_before": count(candidate, self.right) / count(self.right),
            "recall_after": count(kept, self.right) / count(self.right),
            "lost": count(self.stratum == 0, self.right) / count(candidate, self.right),
        }

    def asked(self, size: int, seed: int) -> Certificate | None:
        """The certificate after so many questions."""
        random = np.random.default_rng(seed)
        cells = list(zip(self.tag.tolist(), self.stratum.tolist(), strict=True))
        sizes = Counter(cells)
        chance = chances(np.array([sizes[cell] for cell in cells], float), size)
        shuffled = sorted(random.permutation(len(cells)).tolist(), key=cells.__getitem__)
        drawn = systematic(chance, np.array(shuffled), random)
        return certificate_of(
            {
                "population": pa.table(
                    {
                        "tag_id": [tag for tag, _ in sizes],
                        "stratum": [STRATA[place] for _, place in sizes],
                        "pairs": list(sizes.values()),
                    }
                ),
                "answers": pa.table(
                    {
                        "tag_id": self.tag[drawn],
                        "stratum": [STRATA[place] for place in self.stratum[drawn]],
                        "weight": 1 / chance[drawn],
                        "right": self.right[drawn],
                        "source": ["person"] * len(drawn),
                    }
                ),
                "names": pa.table(
                    {
                        "tag_id": np.unique(self.tag),
                        "name": [f"tag {tag}" for tag in np.unique(self.tag)],
                        "kind": ["object"] * len(np.unique(self.tag)),
                    }
                ),
            }
        )


def population(tags: int = 60, seed: int = 0) -> Population:
    """Tags as unequal as words, each as clean as it happens to be."""
    random = np.random.default_rng(seed)
    rows = []
    for tag in range(tags):
        pairs = int(np.clip(600 / (tag + 2), 10, 300))
        for place, (share, right) in enumerate(((0.1, 0.4), (0.3, 0.85), (0.6, 0.95), (0.3, 0.3))):
            chance = random.beta(6 * right, 6 * (1 - right))
            number = max(int(share * pairs), 2)
            is_right = [True, *(random.random(number - 1) < chance)]
            rows += [(tag, place, right) for right in is_right]
    return Population(*map(np.array, zip(*rows, strict=True)))


def test_who_answers_everything_knows_everything() -> None:
    found, some = population(), population().asked(10**6, 0)
    assert some is not None
    for name, value in found.truth().items():
        assert getattr(some.overall, name) == pytest.approx((value, value, value))
    for tag in some.tags:
        truth = found.truth(int(tag.name.split()[1]))
        assert [getattr(tag, name).estimate for name in FIGURES] == pytest.approx(
            [truth[name] for name in FIGURES]
        )


def test_intervals_hold_the_truth() -> None:
    found = population()
    truth = found.truth()
    of_tag = {f"tag {tag}": found.truth(tag) for tag in range(60)}
    held, held_by_tag, errors = [], [], []
    for seed in range(40):
        some = found.asked(400, seed)
        assert some is not None
        figures = [getattr(some.overall, name) for name in FIGURES]
        held += [f.low <= truth[name] <= f.high for name, f in zip(FIGURES, figures, strict=True)]
        errors.append(some.overall.precision_after.estimate - truth["precision_after"])
        for tag in some.tags:
            lost = of_tag[tag.name]["lost"]
            held_by_tag.append(tag.lost.low - 1e-9 <= lost <= tag.lost.high + 1e-9)
    assert np.mean(held) >= 0.88
    assert np.mean(held_by_tag) >= 0.9
    assert abs(np.mean(errors)) < 0.01


def test_more_answers_make_it_surer() -> None:
    widths = []
    for size in (100, 400, 1600):
        some = population().asked(size, 1)
        assert some is not None
        widths.append(some.overall.precision_after.high - some.overall.precision_after.low)
    assert widths[0] > 1.4 * widths[1] > 2 * widths[2]


def test_nobody_asked_no_certificate() -> None:
    assert population().asked(400, 0) is not None
    tables = {
        "answers": pa.table({"tag_id": pa.array([], pa.int32())}),
        "population": pa.table({}),
        "names": pa.table({}),
    }
    assert certificate_of(tables) is None
    assert harmed(None, PublishConfig()) == []


def test_a_harmed_tag_is_seen_once_enough_was_asked() -> None:
    """Ten of twenty right ones dropped; of another tag two."""
    right = np.ones(40, bool)
    dropped = np.r_[np.arange(20) < 10, np.arange(20) < 2]
    found = Population(np.repeat([0, 1], 20), np.where(dropped, 0, 2), right)
    some = found.asked(40, 0)
    assert [tag.name for tag in harmed(some, PublishConfig())] == ["tag 0"]
    assert harmed(some, PublishConfig(allow_harm=0.5)) == []
    nearly = found.asked(32, 0)
    assert [tag.name for tag in harmed(nearly, PublishConfig())] == ["tag 0"]
    assert harmed(nearly, PublishConfig(min_answers=20)) == []
    half = found.asked(20, 0)  # what may be is not yet what is
    assert half is not None
    assert max(tag.lost.high for tag in half.tags) > 0.5
    assert harmed(half, PublishConfig(allow_harm=0.5)) == []
    few = found.asked(4, 0)
    assert few is not None
    assert harmed(few, PublishConfig()) == judged(few, PublishConfig()) == []
    assert few.dropping == 2


def test_of_a_rare_tag_all_answers_are_enough() -> None:
    """Two of three right ones dropped; of another tag, as rare, nothing."""
    found = Population(
        np.repeat([0, 1], [3, 3]), np.array([0, 0, 2, 2, 2, 2]), np.ones(6, bool)
    )  # fmt: skip
    some = found.asked(6, 0)
    assert some is not None and some.dropping == 1
    assert [tag.name for tag in judged(some, PublishConfig())] == ["tag 0"]
    assert [tag.name for tag in harmed(some, PublishConfig())] == ["tag 0"]
    assert harmed(some, PublishConfig(allow_harm=0.7)) == []
    assert judged(found.asked(2, 0), PublishConfig()) == []


def test_rare_tags_have_their_share() -> None:
    sizes = np.array([400] * 400 + [4] * 4, float)
    chance = chances(sizes, 22)
    assert chance[:400].sum() == pytest.approx(20)
    assert chance[400:].sum() == pytest.approx(2)
    assert chances(sizes, 1000).tolist() == [1.0] * 404
    # a cell that is asked whole leaves its questions to the others
    assert chances(np.array([1, 9, 9, 9, 9, 9, 9, 9, 9, 9.0]), 5).tolist() == pytest.approx(
        [1.0] + [4 / 9] * 9
    )


@pytest.mark.parametrize("seed", range(5))
def test_as_many_are_drawn_as_asked_for_each_once(seed: int) -> None:
    chance = chances(np.array([400] * 400 + [4] * 4 + [1], float), 50)
    drawn = systematic(chance, np.arange(405), np.random.default_rng(seed))
    assert len(drawn) == len(set(drawn.tolist())) == 50


@pytest.mark.parametrize("name", sorted(RULES))
def test_spared_tags_are_kept_and_say_so(name: str) -> None:
    opinions = find_rule(name)(evidence(), CleanConfig(spare=("cat", "dog")), 0)
    assert len(opinions.drop)
    assert not opinions.drop.any()
    assert all("spared" in reason for reason in opinions.reasons)
    others = find_rule(name)(evidence(), CleanConfig(spare=("cat",)), 0)
    assert others.drop.any()


# ---- with a lake -----------------------------------------------------------------------------


def test_from_questions_to_a_certificate(demo_copy: Path, tmp_path: Path, cli: Cli) -> None:
    lake, file = demo_copy / "lake", tmp_path / "sample.csv"
    none = cli("certify", "--lake", lake)
    assert none.returncode == 0
    assert none.stdout.startswith("no certificate")
    drawn = cli("certify", "sample", "--lake", lake, "--out", file, "--size", "60", "--truth")
    assert "60 questions, 60 answered" in drawn.stdout
    given = cli("certify", "answers", file, "--lake", lake)
    assert given.stdout.startswith("60 answers"), given.stderr
    shown = cli("certify", "--lake", lake)
    assert "60 answers by truth" in shown.stdout
    with Lake.open(lake, read_only=True) as opened:
        found = certificate(opened)
        candidates = opened.scalar("SELECT count(*) FROM candidate_tags WHERE split = 'train'")
        write_report(opened, tmp_path / "report.html")
    assert found is not None
    assert found.overall.candidates == candidates
    assert found.overall.precision_before.low < found.overall.precision_before.high
    assert "60 answers by truth" in (tmp_path / "report.html").read_text()


def test_the_same_seed_draws_the_same_and_says_nothing_by_itself(demo: Path) -> None:
    with Lake.open(demo / "lake", read_only=True) as lake:
        one, again, other = (draw(lake, 40, seed) for seed in (1, 1, 2))
        answered = draw(lake, 40, 1, truth=True)
    assert one == again != other
    assert {row["answer"] for row in one} == {""}
    assert {row["answer"] for row in answered} == {"yes", "no"}
    assert [row["question"] for row in answered] == [row["question"] for row in one]


def test_unanswered_questions_are_left_out_and_nonsense_is_told(
    demo_copy: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sample.csv"
    with Lake.open(demo_copy / "lake") as lake:
        rows = draw(lake, 30, 0)
        write_questions(file, rows)
        with pytest.raises(SourceError, match="no answers"):
            read_answers(lake, file)
        write_questions(file, [row | {"answer": "Yes"} for row in rows[:7]] + rows[7:])
        assert read_answers(lake, file) == (7, 23)
        found = certificate(lake)
        assert found is not None and (found.answers, found.sources) == (7, ("person",))
        # Fewer answers later take the place of the earlier ones, and the first come back.
        write_questions(file, [row | {"answer": "n"} for row in rows[:3]])
        assert read_answers(lake, file) == (3, 0)
        assert lake.scalar("SELECT count(*) FROM current_answers") == 3
        write_questions(file, [row | {"answer": "Yes"} for row in rows[:7]] + rows[7:])
        assert read_answers(lake, file) == (7, 23)
        assert lake.scalar("SELECT count(*) FROM current_answers WHERE answer = 'yes'") == 7
        write_questions(file, [rows[0] | {"answer": "perhaps"}])
        with pytest.raises(SourceError, match="line 2: answer 'perhaps'"):
            read_answers(lake, file)
        file.write_text("image,caption\n")
        with pytest.raises(SourceError, match="no column"):
            read_answers(lake, file)


def test_a_harmed_tag_is_not_published(demo_copy: Path, tmp_path: Path) -> None:
    path, file = demo_copy / "lake", tmp_path / "sample.csv"
    config = demo_config(24, 0)
    wish = {"clean": config.clean.model_copy(update={"min_regions": 2})}
    config = config.model_copy(update=wish)
    assert Runner(path, config).run(until="publish")[-1].ran == 1
    with Lake.open(path) as lake:
        # A person finds everything right, so what was dropped was lost.
        write_questions(file, [row | {"answer": "yes"} for row in draw(lake, 10**6, 0)])
        read_answers(lake, file)
        strict = config.publish.model_copy(update={"allow_harm": 0.0, "min_answers": 1})
        names = [tag.name for tag in harmed(certificate(lake), strict)]
        told, dropping, enough = coverage(lake, 3, 5)
        assert told < dropping >= len(names) > 1
        assert coverage(lake, enough, 5)[:2] == (dropping, dropping)
        assert coverage(lake, enough - 1, 5)[0] < dropping
    published = "SELECT count(*) FROM publications"
    runner = Runner(path, config.model_copy(update={"publish": strict}))
    before = runner.lake.scalar(published)
    with pytest.raises(HarmError, match=rf"right tags '{names[0]}'.*clean\.spare=.*allow_harm="):
        runner.run(until="publish")
    assert runner.lake.scalar(published) == before
    # Who follows the advice twice spares both.
    part = config.clean.model_copy(update={"spare": tuple(names[1:])})
    runner = Runner(path, config.model_copy(update={"publish": strict, "clean": part}))
    with pytest.raises(HarmError) as refused:
        runner.run(until="publish")
    advice = re.search(r"--set (.+?)` leaves", str(refused.value))
    assert advice is not None
    assert sorted(load_config(None, shlex.split(advice[1])).clean.spare) == sorted(names)
    spared = config.clean.model_copy(update={"spare": tuple(names)})
    runner = Runner(path, config.model_copy(update={"publish": strict, "clean": spared}))
    assert runner.run(until="publish")[-1].ran == 1
    with Lake.open(path, read_only=True) as lake:
        found = certificate(lake)
        assert found is not None and found.overall.dropped == 0
        assert lake.scalar("SELECT count(*) FROM current_verdicts WHERE reason LIKE '%is spared%'")
