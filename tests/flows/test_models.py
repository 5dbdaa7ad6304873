"""`tagwright tag`, `evaluate`, `train` and `models` as a user meets them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.images import load_image
from model.published import PublishedLabels, load_converted, load_published, save_converted
from pipeline.taggers import lake_tagger
from storage.lake import Lake
from tests.conftest import Cli
from tests.model.published import Tiny, save, weights_of


def images_of(demo: Path, split: str) -> list[Path]:
    return sorted((demo / "scenes" / split / "images").glob("*.jpg"))


def test_tag_names_and_open_labels(demo: Path, cli: Cli, tmp_path: Path) -> None:
    picture = images_of(demo, "eval")[0]
    (tmp_path / "broken.jpg").write_bytes(picture.read_bytes()[:200])
    done = cli(
        "tag", picture, tmp_path / "broken.jpg", "--tags", "dog, zeppelin, dog",
        "--lake", demo / "lake", "--json",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "broken.jpg" in done.stderr
    rows = {row["tag"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"dog", "zeppelin"}
    assert rows["zeppelin"]["open"] and not rows["dog"]["open"]
    assert all(0 < row["score"] < 1 for row in rows.values())


def test_a_score_is_that_of_the_stored_features(demo: Path) -> None:
    tagger = lake_tagger(demo / "lake", None)
    with Lake.open(demo / "lake", read_only=True) as lake:
        (row,) = lake.query(
            "SELECT uri, map, positions, channels FROM current_features JOIN current_images "
            "USING (image_id) WHERE split = 'eval' ORDER BY uri LIMIT 1"
        ).to_pylist()
    features = np.frombuffer(row["map"], np.float16).reshape(1, row["positions"], row["channels"])
    seen = tagger.score([load_image(Path(row["uri"]).read_bytes())])
    np.testing.assert_allclose(seen, tagger.score_features(features), atol=1e-4)
    swapped = tagger.asked([tagger.names[3], tagger.names[0]])
    np.testing.assert_array_equal(
        swapped.score_features(features)[0], tagger.score_features(features)[0, [3, 0]]
    )


def test_evaluate_agrees_with_the_cycle(demo: Path, cli: Cli, tmp_path: Path) -> None:
    listed = json.loads(cli("models", "list", "--lake", demo / "lake", "--json").stdout)
    (baseline,) = [row for row in listed if row["role"] == "baseline"]
    assert sum(row["in_service"] for row in listed) == 1
    done = cli(
        "evaluate", "--model", "baseline", "--lake", demo / "lake", "--out", tmp_path / "tags.csv",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    figures = {row["figure"]: row for row in found["overall"]}
    assert figures["mAP"]["value"] == pytest.approx(baseline["mAP"], abs=1e-6)
    assert figures["mAP"]["low"] < figures["mAP"]["high"]
    with (tmp_path / "tags.csv").open() as file:
        rows = list(csv.DictReader(file))
    shown = [float(row["AP"]) for row in rows if row["AP"]]
    assert np.mean(shown) == pytest.approx(figures["mAP"]["value"], abs=1e-6)
    assert {row["kind"] for row in found["kinds"]} <= {"object", "scene", "attribute", "action"}


def test_captions_are_judged_by_what_people_said(demo: Path, cli: Cli, tmp_path: Path) -> None:
    lake = ["--lake", demo / "lake"]
    done = cli("evaluate", "--captions", *lake, "--out", tmp_path / "captions.csv", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (figure,) = found["overall"]
    assert figure["low"] < figure["value"] < figure["high"]
    assert found["images"] == len(images_of(demo, "eval"))
    with (tmp_path / "captions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert np.mean([float(row["CIDEr-D"]) for row in rows]) == pytest.approx(figure["value"])
    assert all(row["caption"] for row in rows)
    # RAM of random weights says nothing that people say.
    file_ = save(weights_of(Tiny()), tmp_path / "ram.pth")
    (tmp_path / "names.txt").write_text("dog\ncat\nsky\ntree\ncar\nboat\nowl\n")
    model = ["--model", f"ram:{file_}", "--names", tmp_path / "names.txt"]
    other = cli("evaluate", "--captions", *model, *lake, "--json")
    assert other.returncode == 0, other.stderr
    assert json.loads(other.stdout)["overall"][0]["value"] < 0.5 * figure["value"]


def test_a_model_is_not_judged_by_what_it_learned_from(
    demo: Path, tmp_path: Path, cli: Cli
) -> None:
    train, held = images_of(demo, "train")[:2], images_of(demo, "eval")[:3]
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    for name, pictures in (("train.txt", train), ("held.txt", held)):
        (tmp_path / name).write_text("".join(f"{path},dog\n" for path in pictures))
    files = ["--benchmark-names", tmp_path / "names.txt", "--images", "/"]
    lake = ["--lake", demo / "lake"]
    refused = cli("evaluate", "--benchmark", tmp_path / "train.txt", *files, *lake)
    assert refused.returncode == 1
    assert "2 of 2 images are training images" in refused.stderr
    assert refused.stderr.count("\n") == 1
    held_lines = (tmp_path / "held.txt").read_text()
    (tmp_path / "held.txt").write_text(held_lines + "gone.jpg,cat\n")
    fine = cli("evaluate", "--benchmark", tmp_path / "held.txt", *files, *lake, "--json")
    assert fine.returncode == 0, fine.stderr
    found = json.loads(fine.stdout)
    assert found["images"] == 3 and "gone.jpg" in found["unread"][0]


def test_ram_that_a_lake_trained_is_not_judged_by_it_either(
    demo: Path, tmp_path: Path, cli: Cli
) -> None:
    names = ("dog", "cat", "sky", "tree", "car", "boat", "owl")
    model = load_published(save(weights_of(Tiny()), tmp_path / "ram.pth"))
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    pictures = images_of(demo, "train")[:2]
    (tmp_path / "train.txt").write_text("".join(f"{path},dog\n" for path in pictures))
    files = ["--benchmark", tmp_path / "train.txt", "--benchmark-names", tmp_path / "names.txt"]
    for publication, code in (("of this lake", 1), (None, 0)):
        labels = PublishedLabels(names, publication=publication)
        folder = save_converted(model, labels, tmp_path / "models")
        done = cli(
            "evaluate", "--model", f"ram:{folder}", *files, "--images", "/",
            "--lake", demo / "lake",
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert ("2 of 2 images are training images" in done.stderr) == bool(publication)


def test_a_published_checkpoint_from_file_to_tags(demo: Path, cli: Cli, tmp_path: Path) -> None:
    file = save(weights_of(Tiny()), tmp_path / "ram.pth")
    (tmp_path / "names.txt").write_text("dog\ncat\nsky\ntree\ncar\nboat\nowl \n")
    (tmp_path / "cuts.txt").write_text("0\n" * 7)
    done = cli(
        "models", "import", file, "--names", tmp_path / "names.txt", "--thresholds",
        tmp_path / "cuts.txt", "--out", tmp_path / "models",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "models").iterdir()
    picture = images_of(demo, "eval")[0]
    tagged = cli("tag", picture, "--model", f"ram:{folder}", "--json")
    rows = json.loads(tagged.stdout)
    assert {row["tag"] for row in rows} == {"dog", "cat", "sky", "tree", "car", "boat", "owl"}
    assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
    known = cli("tag", picture, "--model", f"ram:{folder}", "--tags", "Sky, owl", "--json")
    assert {r["tag"]: r["score"] for r in json.loads(known.stdout)} == {
        row["tag"].replace("sky", "Sky"): row["score"]
        for row in rows
        if row["tag"] in ("sky", "owl")
    }
    judged = cli("evaluate", "--model", f"ram:{folder}", "--lake", demo / "lake", "--json")
    assert judged.returncode == 0, judged.stderr
    tags = json.loads(judged.stdout)["tags"]
    assert {t["tag"] for t in tags} <= {"dog", "cat", "sky", "tree", "car", "boat", "owl"}
    assert tags and all(t["threshold"] == 0 for t in tags)
    asked = cli("tag", picture, "--model", f"ram:{folder}", "--tags", "zebra")
    assert asked.returncode == 1 and "--clip" in asked.stderr


def imported(cli: Cli, folder: Path, cuts: str) -> Path:
    """A converted RAM of random weights with a threshold a label."""
    file = save(weights_of(Tiny()), folder / "ram.pth")
    (folder / "names.txt").write_text("dog\ncat\nsky\ntree\ncar\nboat\nowl\n")
    (folder / "cuts.txt").write_text(cuts)
    done = cli(
        "models", "import", file, "--names", folder / "names.txt", "--thresholds",
        folder / "cuts.txt", "--out", folder / "models",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[1].rstrip(";"))


def test_thresholds_come_from_images_it_was_not_trained_on(
    demo: Path, cli: Cli, tmp_path: Path
) -> None:
    lake = ["--lake", demo / "lake"]
    folder = imported(cli, tmp_path, "0.123\n" * 7)
    done = cli("models", "calibrate", folder, *lake, "--out", tmp_path / "cut")
    assert done.returncode == 0 and "24 train images" in done.stdout, done.stderr
    (cut,) = (tmp_path / "cut").iterdir()
    model, labels = load_converted(cut)
    assert labels.thresholds is not None and labels.publication is None
    with Lake.open(demo / "lake", read_only=True) as opened:
        known = opened.query(
            "SELECT DISTINCT surface FROM current_label_surfaces WHERE tag_id IS NOT NULL"
        ).column(0)
    for name, threshold in zip(labels.names, labels.thresholds, strict=True):
        assert (threshold == pytest.approx(0.123)) == (name not in known.to_pylist())
    judged = json.loads(cli("evaluate", "--model", f"ram:{cut}", *lake, "--json").stdout)
    told = {row["tag"]: row["threshold"] for row in judged["tags"]}
    assert told and all(
        told[name] == pytest.approx(labels.thresholds[labels.names.index(name)]) for name in told
    )
    # What a lake trained is held against the images that it was not trained on.
    own = save_converted(model, replace(labels, publication="of this lake"), tmp_path / "own")
    done = cli("models", "calibrate", own, *lake, "--out", tmp_path / "cut", "--precision", "0.9")
    assert done.returncode == 0 and "8 eval images" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--threshold", "80"], "--threshold 80.0: is a probability"),
        (["models", "calibrate", "x", "--out", "y", "--precision", "80"], "--precision 80.0"),
        (["models", "calibrate", "x", "--out", "y", "--precision", "-1"], "--precision -1.0"),
        (["evaluate", "--out", "/nowhere/tags.csv"], "--out /nowhere/tags.csv: cannot be written"),
        (["evaluate", "--captions", "--out", "/tmp"], "--out /tmp: cannot be written"),
        (["evaluate", "--seed", "-1"], "Invalid value for '--seed'"),
        (["certify", "sample", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "finetune", "--out", "x"], "give one by --init"),
    ],
)
def test_what_is_no_use_is_refused_before_the_lake_is_read(
    arguments: list[str], message: str, cli: Cli, tmp_path: Path
) -> None:
    done = cli(*arguments, "--lake", tmp_path / "none")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert message in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tag", "x.jpg", "--model", "blob:x"], "choose from: ram, clip, blip"),
        (["tag", "x.jpg", "--model", "ram:x.pth"], "give it by --names"),
        (["tag", "x.jpg", "--model", "nothing"], "no model 'nothing'"),
        (["models", "calibrate", "nowhere", "--out", "x"], "no converted checkpoint"),
        (["evaluate", "--benchmark", "x"], "--benchmark-names and --images"),
        (["evaluate", "--captions", "--threshold", "0.5"], "nor a threshold belongs to captions"),
        (["evaluate", "--captions", "--model", "baseline"], "no captioner 'baseline'"),
        (["train", "embedded", "--out", "x"], "trained by `tagwright run`"),
        (["train", "swin_b_4m", "--set", "lrr=1", "--out", "x"], "did you mean lr?"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, demo: Path, cli: Cli, tmp_path: Path
) -> None:
    done = cli(*arguments, "--lake", demo / "lake")
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1
