"""Exporters: what a small lake holds arrives in each format, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.errors import PlanError
from pipeline.exporters import EXPORTERS, ExportError, find_exporter, webdataset
from pipeline.readers import ReaderOptions, Record, open_source
from storage.lake import Lake
from tests.lakes import commit

WORK = "w"
LABELS = {3: ("dog", "object"), 5: ("run", "action"), 8: ("cat", "object"), 9: ("red", "attribute")}


def quiet(*_: object) -> None:
    """No progress."""


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def image_row(name: str, data: bytes, uri: str, split: str = "train") -> dict[str, Any]:
    return {
        "image_id": hashlib.sha256(data).hexdigest(), "uri": uri, "name": name, "width": 8,
        "height": 6, "format": "PNG", "bytes": len(data), "split": split, "fold_key": 0,
    }  # fmt: skip


class Corpus:
    """A lake with three images: plain.png (train), member.png (train, in a tar), held.png (eval).

    plain.png has two human captions and a generated one; its tag `red` was dropped by a verdict.
    """

    def __init__(self, root: Path) -> None:
        self.plain = root / "plain.png"
        self.plain.write_bytes(png(10))
        held = root / "held.png"
        held.write_bytes(png(30))
        shard = root / "source.tar"
        with tarfile.open(shard, "w") as archive:
            member = tarfile.TarInfo("member.png")
            member.size = len(png(20))
            archive.addfile(member, io.BytesIO(png(20)))
        images = [
            image_row("plain.png", png(10), str(self.plain)),
            image_row("member.png", png(20), f"{shard}#512,{len(png(20))}"),
            image_row("held.png", png(30), str(held), "eval"),
        ]
        self.ids = {row["name"]: row["image_id"] for row in images}
        self.lake = Lake.create(root / "lake")
        commit(self.lake, {"images": images} | self._texts() | self._judgements(), WORK)

    def _texts(self) -> dict[str, list[dict[str, Any]]]:
        captions = [
            ("c2", "plain.png", "a red dog runs", "original", ["dog", "run", "red"]),
            ("c1", "plain.png", "a red thing", "original", ["red"]),
            ("c0", "plain.png", "a cat\nand a dog", "generated", ["cat", "dog"]),
            ("c4", "held.png", "a cat", "original", ["cat"]),
        ]
        kinds = dict(LABELS.values())
        return {
            "captions": [
                {"caption_id": key, "image_id": self.ids[name], "text": text, "source": source}
                for key, name, text, source, _ in captions
            ],
            "mentions": [
                {
                    "caption_id": key, "image_id": self.ids[name], "source": source,
                    "surface": word, "kind": kinds[word], "start": 0, "end": 1,
                }
                for key, name, _, source, words in captions
                for word in words
            ],
        }  # fmt: skip

    def _judgements(self) -> dict[str, list[dict[str, Any]]]:
        plain, member = self.ids["plain.png"], self.ids["member.png"]
        version = {"label_version": "v1"}
        box = version | {"image_id": plain, "tag_id": 3}
        box |= {"x1": 1.0, "y1": 2.0, "x2": 4.0, "y2": 6.0}
        return {
            "labels": [
                version | {"tag_id": tag, "name": name, "kind": kind, "mentions": 1}
                for tag, (name, kind) in LABELS.items()
            ],
            "label_surfaces": [
                version | {"surface": name, "kind": kind, "tag_id": tag, "state": "kept"}
                for tag, (name, kind) in LABELS.items()
            ],
            "tag_scores": [
                version | {"image_id": member, "tag_id": 8, "fold": 0, "score": 0.9},
                version | {"image_id": member, "tag_id": 3, "fold": 0, "score": 0.2},
                # Enough for what a generated caption names, too little alone.
                version | {"image_id": plain, "tag_id": 8, "fold": 0, "score": 0.45},
                version | {"image_id": plain, "tag_id": 3, "fold": 0, "score": 0.45},
            ],
            "thresholds": [
                version | {"fold": 0, "tag_id": tag, "generate": 0.5, "support": 0.4}
                for tag in (3, 8)
            ],
            "verdicts": [
                version | {"image_id": plain, "tag_id": 9, "rule": "outlier", "verdict": "drop"},
                version | {"image_id": plain, "tag_id": 3, "rule": "outlier", "verdict": "keep"},
            ],
            "regions": [
                box | {"region_id": "r1", "score": 0.4, "x1": 0.0},
                box | {"region_id": "r2", "score": 0.7},
                box | {"region_id": "r3", "score": 0.9, "tag_id": 9},
                box | {"region_id": "r4", "score": 0.9, "tag_id": 5},
            ],
        }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One for all tests, for exporters only read it."""
    return Corpus(tmp_path_factory.mktemp("corpus"))


def by_name(rows: Sequence[dict[str, Any]], column: str = "name") -> dict[str, dict[str, Any]]:
    return {Path(row[column]).name: row for row in rows}


# ---- formats -------------------------------------------------------------------------------------


def test_ram_json(corpus: Corpus, tmp_path: Path) -> None:
    dest = tmp_path / "out/ram"
    summary = EXPORTERS["ram-json"](corpus.lake, dest, quiet)
    assert (summary.images, summary.captions, summary.tags) == (2, 3, 4)
    assert str(dest) in str(summary)
    assert sorted(path.name for path in dest.iterdir()) == [
        "annotations.json", "images", "tag_list.txt",
    ]  # fmt: skip
    assert (dest / "tag_list.txt").read_text() == "dog\nrun\ncat\nred\n"
    rows = json.loads((dest / "annotations.json").read_text())
    assert [list(row) for row in rows] == [
        ["image_path", "caption", "union_label_id", "parse_label_id"]
    ] * 2
    plain = next(row for row in rows if row["image_path"] == str(corpus.plain))
    assert plain["caption"] == ["a red dog runs", "a red thing", "a cat\nand a dog"]
    assert plain["union_label_id"] == [0, 1, 2]  # red was dropped
    assert plain["parse_label_id"] == [[0, 1], [], [0, 2]]
    (member,) = (row for row in rows if row is not plain)
    assert member["union_label_id"] == [2]  # from the tagger, above its threshold
    assert (member["caption"], member["parse_label_id"]) == ([], [])
    assert Path(member["image_path"]).read_bytes() == png(20)
    assert Path(member["image_path"]).is_relative_to(dest)


def test_ram_json_as_a_file(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="inside a tar"):
        EXPORTERS["ram-json"](corpus.lake, tmp_path / "out/ram.json", quiet)
    assert not list((tmp_path / "out").iterdir())


def test_ram_json_file_and_its_tag_list(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with Lake.create(tmp_path / "plain/lake") as lake:
        image = image_row("a.png", png(1), str(corpus.plain))
        label = {"label_version": "v", "tag_id": 0, "name": "dog", "kind": "object"}
        commit(lake, {"images": [image], "labels": [label]}, WORK)
        EXPORTERS["ram-json"](lake, tmp_path / "out/ram.json", quiet)
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "ram.json", "tag_list.txt",
        ]  # fmt: skip
        (row,) = json.loads((tmp_path / "out/ram.json").read_text())
        assert row == {
            "image_path": str(corpus.plain), "caption": [], "union_label_id": [],
            "parse_label_id": [],
        }  # fmt: skip
        with pytest.raises(ExportError, match=r"ram.json: exists already"):
            EXPORTERS["ram-json"](lake, tmp_path / "out/ram.json", quiet)
        with pytest.raises(ExportError, match=r"other.json: goes with a tag_list.txt beside it"):
            EXPORTERS["ram-json"](lake, tmp_path / "out/other.json", quiet)


def test_coco(corpus: Corpus, tmp_path: Path) -> None:
    EXPORTERS["coco"](corpus.lake, tmp_path / "coco", quiet)
    assert sorted(path.name for path in (tmp_path / "coco").iterdir()) == [
        "eval.json",
        "train.json",
    ]
    train = json.loads((tmp_path / "coco/train.json").read_text())
    assert [(c["id"], c["name"]) for c in train["categories"]] == [(4, "dog"), (9, "cat")]
    images = by_name(train["images"], "file_name")
    assert images["plain.png"]["tags"] == ["dog", "run", "cat"]
    assert sorted(image["id"] for image in images.values()) == [1, 2]
    (box,) = train["annotations"]  # the best region of dog; red was dropped, run is no object
    assert box["bbox"] == [1.0, 2.0, 3.0, 4.0]
    assert (box["area"], box["category_id"]) == (12.0, 4)
    assert box["image_id"] == images["plain.png"]["id"]
    assert [c["source"] for c in train["captions"]] == ["original", "original", "generated"]
    held = json.loads((tmp_path / "coco/eval.json").read_text())
    assert [image["file_name"] for image in held["images"]] == ["held.png"]
    assert held["annotations"] == []
    EXPORTERS["coco"](corpus.lake, tmp_path / "both.json", quiet)
    both = json.loads((tmp_path / "both.json").read_text())
    assert {image["split"] for image in both["images"]} == {"train", "eval"}


def test_coco_comes_back_through_the_reader(corpus: Corpus, tmp_path: Path) -> None:
    EXPORTERS["coco"](corpus.lake, tmp_path / "both.json", quiet)
    records = list(open_source(tmp_path / "both.json", None, ReaderOptions()))
    assert {r.name for r in records} == {"plain.png", "member.png", "held.png"}


def test_parquet(corpus: Corpus, tmp_path: Path) -> None:
    summary = EXPORTERS["parquet"](corpus.lake, tmp_path / "p", quiet)
    tables = {path.stem: pq.read_table(path) for path in (tmp_path / "p").iterdir()}
    assert sorted(tables) == ["captions", "images", "labels", "tags"]
    tags = tables["tags"].to_pylist()
    found = {(row["image_id"], row["name"], row["split"]) for row in tags}
    plain, member, held = (self_id for self_id in corpus.ids.values())
    assert found == {(plain, "dog", "train"), (plain, "run", "train"), (plain, "cat", "train"),
                     (member, "cat", "train"), (held, "cat", "eval")}  # fmt: skip
    assert tables["images"].num_rows == summary.images == 3
    assert tables["labels"].column("name").to_pylist() == ["dog", "run", "cat", "red"]
    assert tables["captions"].num_rows == summary.captions == 4


def test_webdataset(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdataset, "SHARD_SIZE", 1)
    EXPORTERS["webdataset"](corpus.lake, tmp_path / "wds", quiet)
    assert sorted(path.name for path in (tmp_path / "wds").iterdir()) == [
        "eval-000000.tar", "train-000000.tar", "train-000001.tar",
    ]  # fmt: skip
    found: dict[str, bytes] = {}
    for path in (tmp_path / "wds").iterdir():
        with tarfile.open(path) as shard:
            for member in shard:
                file = shard.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    key = corpus.ids["plain.png"]
    assert found[f"{key}.png"] == png(10)
    assert found[f"{key}.txt"].decode() == "a red dog runs\na red thing\na cat and a dog"
    facts = json.loads(found[f"{key}.json"])
    assert (facts["tags"], facts["tag_ids"]) == (["dog", "run", "cat"], [3, 5, 8])
    assert facts["split"] == "train"
    assert found[f"{corpus.ids['member.png']}.png"] == png(20)
    records = list(open_source(tmp_path / "wds", None, ReaderOptions()))
    # An image without captions has an empty .txt, which the reader reports.
    assert len([r for r in records if isinstance(r, Record)]) == 3


def test_hf(corpus: Corpus, tmp_path: Path) -> None:
    EXPORTERS["hf"](corpus.lake, tmp_path / "hf", quiet)
    lines = (tmp_path / "hf/train/metadata.jsonl").read_text().splitlines()
    rows = by_name([json.loads(line) for line in lines], "file_name")
    row = rows[corpus.ids["plain.png"] + ".png"]
    assert row["captions"] == ["a red dog runs", "a red thing", "a cat\nand a dog"]
    assert row["tags"] == ["dog", "run", "cat"]
    assert (tmp_path / "hf/train" / row["file_name"]).samefile(corpus.plain)
    inside = tmp_path / "hf/train" / (corpus.ids["member.png"] + ".png")
    assert inside.read_bytes() == png(20)
    records = list(open_source(tmp_path / "hf", None, ReaderOptions()))
    assert sorted(r.split or "" for r in records if isinstance(r, Record)) == [
        "eval", "train", "train",
    ]  # fmt: skip


# ---- all formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_lake_gives_the_same_bytes(name: str, corpus: Corpus, tmp_path: Path) -> None:
    contents = []
    dest = tmp_path / "out"
    dest.mkdir()  # an empty folder is no obstacle
    for _ in range(2):
        EXPORTERS[name](corpus.lake, dest, quiet)
        files = [path for path in sorted(dest.rglob("*")) if path.is_file()]
        contents.append({path.relative_to(dest): path.read_bytes() for path in files})
        dest.rename(tmp_path / f"was-{len(contents)}")
    assert contents[0] == contents[1]
    assert contents[0]


@pytest.mark.parametrize("name", EXPORTERS)
def test_nothing_is_overwritten(name: str, corpus: Corpus, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        EXPORTERS[name](corpus.lake, full, quiet)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["coco", "ram-json"])
def test_a_file_does_not_replace_a_folder(name: str, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()
    heard: list[object] = []
    with pytest.raises(ExportError, match=r"out\.json: exists already"):
        EXPORTERS[name](corpus.lake, tmp_path / "out.json", lambda *step: heard.append(step))
    assert not heard and not any((tmp_path / "out.json").iterdir())


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_working_directory_is_not_replaced(
    name: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for dest in (".", "gone/.."):
        with pytest.raises(ExportError, match="the folder that you are in"):
            EXPORTERS[name](corpus.lake, Path(dest), quiet)
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "empty").mkdir()
    EXPORTERS[name](corpus.lake, Path("../link"), quiet)
    assert any((tmp_path / "empty").iterdir()) and not any(here.iterdir())


@pytest.mark.parametrize("name", ["webdataset", "hf"])
@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_lost_image_leaves_no_half_export(
    name: str, harm: str, corpus: Corpus, tmp_path: Path
) -> None:
    corpus.plain.unlink()
    if harm == "changed":
        corpus.plain.write_bytes(png(99))
    try:
        with pytest.raises(ExportError, match=r"plain\.png.*restore it"):
            EXPORTERS[name](corpus.lake, tmp_path / "out", quiet)
    finally:
        corpus.plain.write_bytes(png(10))
    assert not list(tmp_path.iterdir())


def test_a_lake_without_tags_says_what_to_do(tmp_path: Path) -> None:
    with Lake.create(tmp_path / "lake") as lake:
        for exporter in EXPORTERS.values():
            with pytest.raises(ExportError, match="tagwright run"):
                exporter(lake, tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def test_an_older_snapshot_is_exported_as_it_was(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    before = corpus.lake.snapshot_id
    image = image_row("new.png", png(77), "/nowhere/new.png")
    commit(corpus.lake, {"images": [image]}, "more")
    corpus.lake.close()
    with Lake.open(tmp_path / "lake", read_only=True, snapshot=before) as lake:
        assert EXPORTERS["parquet"](lake, tmp_path / "old", quiet).images == 3
    with Lake.open(tmp_path / "lake", read_only=True) as lake:
        assert EXPORTERS["parquet"](lake, tmp_path / "new", quiet).images == 4


def test_progress_and_unknown_names(corpus: Corpus, tmp_path: Path) -> None:
    heard: list[tuple[int, int, str]] = []
    find_exporter("ram-json")(corpus.lake, tmp_path / "out", lambda *step: heard.append(step))
    assert heard == [(2, 2, "images")]
    with pytest.raises(PlanError, match="coco, hf, parquet, ram-json, webdataset"):
        find_exporter("yolo")
