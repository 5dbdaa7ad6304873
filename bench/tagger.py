"""Is the embedded tagger worth its training? Held-out mAP beside simple peers on the same features.

Planted scenes, and photos where `--data` names them. Per seed: our tagger, trained as the pipeline
does; logistic regression per tag on mean features; tag frequency. Then a fifth of the tags is kept
out of training and ranked through its text queries alone, beside the nearest trained tag.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from bench.given import digest_of
from bench.lakes import left_out, mean_maps
from model.encoder import make_encoder
from model.metrics import mean_average_precision
from model.text import TextEncoder
from model.train import train_tagger
from pipeline.columns import Floats, Halves
from pipeline.config import Config, load_config
from pipeline.dataset import (
    CAPTION_TAGS,
    EVAL_FEATURES,
    LABELS,
    TRAIN_FEATURES,
    Ints,
    images_of,
    learnable,
    multi_hot,
    vocabulary_of,
)
from pipeline.demo import DemoPaths, demo_config, fill_lake, make_scenes
from pipeline.evaluate import TRUTH
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from pipeline.reporting import Quiet
from pipeline.runner import Runner
from pipeline.work import cores
from storage.lake import Lake

SCENES = 800
TEST_SHARE = 0.3
UNSEEN_SHARE = 0.2
FEWEST = (5, 3)
"""Positives in training and in the test, below which a tag is not judged."""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of logistic regression (its C); a quarter of the training images chooses."""
METHODS = ("ours", "logistic regression", "tag frequency", "chance")
UNSEEN = ("ours", "nearest trained tag", "chance")
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Features (N, P, C) and tags (N, L) of both sides; queries (L, T) and kinds (L,) of tags.

    `groups` (N,) are the same for near-duplicates on the training side.
    """

    features: Halves
    targets: Floats
    groups: Ints
    test_features: Halves
    truth: Floats
    queries: Floats
    kinds: tuple[str, ...]

    @property
    def judged(self) -> Flags:
        """Tags (L,) with enough positives on both sides."""
        enough: Flags = (self.targets.sum(axis=0) >= FEWEST[0]) & (
            self.truth.sum(axis=0) >= FEWEST[1]
        )
        return enough


def run(data: Path | None, seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    """`data` holds captions.csv (image, caption) and images/; without it, planted scenes alone."""
    sets = {"planted scenes": planted(seeds, out)}
    if data:
        sets["photos"] = photos(data, seeds, out)
    tables: dict[str, list[dict[str, Any]]] = {}
    notes = []
    for name, splits in sets.items():
        rows, unseen = [], []
        for seed, (split, config) in zip(seeds, splits, strict=True):
            row, hidden = _compare(split, config, seed)
            rows.append({"seed": seed, **row})
            unseen.append({"seed": seed, **hidden})
        tables[f"{name}: mAP"] = rows
        tables[f"{name}: over seeds"] = _summary(rows, METHODS, METHODS[1])
        tables[f"{name}: unseen tags"] = unseen
        of_auc = tuple(f"{method}, AUC" for method in UNSEEN[:2])
        tables[f"{name}: unseen tags over seeds"] = [
            *_summary(unseen, UNSEEN, UNSEEN[1]), *_summary(unseen, of_auc, of_auc[1]),
        ]  # fmt: skip
    notes.append(
        f"judged: tags with {FEWEST[0]} training and {FEWEST[1]} test positives; interval: 95 % of "
        "the mean over seeds (Student); paired: ours less the peer, per seed"
    )
    return {"tables": tables, "notes": notes}


def planted(seeds: tuple[int, ...], out: Path) -> Iterator[tuple[Split, Config]]:
    """Per seed another demo: train on its captions' tags, test on its evaluation scenes' truth."""
    for seed in seeds:
        paths, config = DemoPaths(out / f"tagger-planted-{seed}"), demo_config(SCENES, seed)
        make_scenes(paths, SCENES, seed, Quiet())
        fill_lake(paths, config, Quiet())
        Runner(paths.lake, config, workers=cores()).run(until="encode", command="bench")
        with Lake.open(paths.lake, read_only=True) as lake:
            train, test = (
                images_of(lake.query(TRAIN_FEATURES)),
                images_of(lake.query(EVAL_FEATURES)),
            )
            vocabulary = vocabulary_of(lake.query(LABELS))
            targets = multi_hot(train, vocabulary, lake.query(CAPTION_TAGS))
            truth = multi_hot(test, vocabulary, lake.query(TRUTH))
        keep = learnable(targets, config.baseline.min_images)
        learned = vocabulary.subset(keep)
        queries = TextEncoder().label_queries(learned.names)
        split = Split(
            train.features, targets[:, keep], train.fold_keys, test.features, truth[:, keep],
            queries, learned.kinds,
        )  # fmt: skip
        yield split, config


def photos(data: Path, seeds: tuple[int, ...], out: Path) -> Iterator[tuple[Split, Config]]:
    """Per seed another split by image, near-duplicates on one side; caption tags are the truth."""
    config = load_config(None, ["ingest.eval_share=0"])
    path = out / f"tagger-photos-{digest_of(data)}"
    if not (path / "lake.toml").exists():
        Lake.create(path).close()
    with Lake.open(path) as lake:
        records = open_source(data / "captions.csv", "csv", ReaderOptions(images=data / "images"))
        ingest(lake, records, config.ingest, split="train", reporter=Quiet())
        left_out(lake)
    Runner(path, config, workers=cores()).run(until="encode", command="bench")
    with Lake.open(path, read_only=True) as lake:
        images = images_of(lake.query(TRAIN_FEATURES))
        vocabulary = vocabulary_of(lake.query(LABELS))
        tags = multi_hot(images, vocabulary, lake.query(CAPTION_TAGS))
    queries = TextEncoder().label_queries(vocabulary.names)
    for seed in seeds:
        keys = np.random.default_rng(seed).permutation(np.unique(images.fold_keys))
        test = np.isin(images.fold_keys, keys[: int(TEST_SHARE * len(keys))])
        keep = learnable(tags[~test], config.baseline.min_images)
        split = Split(
            images.features[~test], tags[~test][:, keep], images.fold_keys[~test],
            images.features[test], tags[test][:, keep], queries[keep],
            vocabulary.subset(keep).kinds,
        )  # fmt: skip
        yield split, config


def _compare(split: Split, config: Config, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of one seed: all tags, then those kept out of training."""
    judged = split.judged
    truth = split.truth[:, judged]
    everything = np.ones(len(judged), np.bool_)
    ours, _ = _ours(split, everything, config, seed)
    regression, strength = _regression(split, config.encode.encoder, seed)
    row = {
        "tags": int(judged.sum()),
        "ours": mean_average_precision(ours[:, judged], truth),
        "logistic regression": mean_average_precision(regression[:, judged], truth),
        "C": strength,
        # One ranking of tags for all images says nothing of which image has a tag.
        "tag frequency": float(truth.mean()),
        "chance": float(truth.mean()),
    }
    hidden = np.zeros(len(judged), np.bool_)
    order = np.random.default_rng([seed, 7]).permutation(len(judged))
    hidden[order[: round(UNSEEN_SHARE * len(judged))]] = True
    trained, asked = _ours(split, ~hidden, config, seed)
    similar = split.queries[hidden] @ split.queries[~hidden].T
    nearest = trained[:, similar.argmax(axis=1)]
    shown = judged[hidden]
    truth = split.truth[:, hidden][:, shown]
    unseen = {
        "tags": int(shown.sum()),
        "ours": mean_average_precision(asked[:, shown], truth) if truth.size else None,
        "nearest trained tag": mean_average_precision(nearest[:, shown], truth)
        if truth.size
        else None,
        "chance": float(truth.mean()) if truth.size else None,
        "ours, AUC": _auc(truth, asked[:, shown]),
        "nearest trained tag, AUC": _auc(truth, nearest[:, shown]),
    }
    return row, unseen


def _auc(truth: Floats, scores: Floats) -> float | None:
    """Mean over the tags (L,) that some of the images have and others not; none where none is."""
    told = truth.any(axis=0) & ~truth.all(axis=0)
    if not told.any():
        return None
    return float(roc_auc_score(truth[:, told], scores[:, told], average="macro"))


def _ours(split: Split, seen: Flags, config: Config, seed: int) -> tuple[Floats, Floats]:
    """Test probabilities of the tags `seen` in training (N, S), and of the others (N, L - S)."""
    tagger = train_tagger(
        split.features, split.targets[:, seen], split.queries[seen], config.baseline.tagger,
        encoder=make_encoder(config.encode.encoder),
        kinds=[kind for kind, kept in zip(split.kinds, seen, strict=True) if kept],
        groups=split.groups, seed=seed, threads=1,
    )  # fmt: skip
    opened = tagger.score_open(split.test_features, split.queries[~seen])
    return tagger.score(split.test_features), opened


def _regression(split: Split, encoder: str, seed: int) -> tuple[Floats, float]:
    """Test probabilities (N, L) of one logistic regression per tag, and the C that was chosen."""
    means, test = mean_maps(split.features, encoder), mean_maps(split.test_features, encoder)
    keys = np.random.default_rng(seed).permutation(np.unique(split.groups))
    held = np.isin(split.groups, keys[: len(keys) // 4])
    inner = {
        strength: mean_average_precision(
            _fit(means[~held], split.targets[~held], means[held], strength), split.targets[held]
        )
        for strength in PENALTIES
    }
    best = max(inner, key=lambda strength: inner[strength])
    return _fit(means, split.targets, test, best), best


def _fit(means: Floats, targets: Floats, test: Floats, strength: float) -> Floats:
    scaler = StandardScaler().fit(means)
    scaled, asked = scaler.transform(means), scaler.transform(test)
    logits = np.zeros((len(test), targets.shape[1]), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for column in np.flatnonzero((targets.sum(axis=0) > 0) & (targets.min(axis=0) == 0)):
            model = LogisticRegression(C=strength, max_iter=300).fit(scaled, targets[:, column])
            logits[:, column] = model.decision_function(asked)
    return logits


def _summary(
    rows: list[dict[str, Any]], methods: tuple[str, ...], peer: str
) -> list[dict[str, Any]]:
    """Median, mean and interval per method, then of the paired difference to `peer`."""
    rows = [row for row in rows if all(row[method] is not None for method in methods)]
    values = {method: [row[method] for row in rows] for method in methods}
    ours = methods[0]
    values[f"{ours} less {peer}"] = [row[ours] - row[peer] for row in rows]
    return [{"method": method, **_interval(found)} for method, found in values.items()]


def _interval(values: list[float]) -> dict[str, float | None]:
    """Median, mean and the 95 % interval of the mean; no interval from one value."""
    if not values:
        return dict.fromkeys(("median", "mean", "low", "high"))
    middle = {"median": median(values), "mean": mean(values)}
    if len(values) < 2:
        return middle | {"low": None, "high": None}
    width = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return middle | {"low": middle["mean"] - width, "high": middle["mean"] + width}
