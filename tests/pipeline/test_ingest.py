"""Which split a picture gets, and what becomes of a split that nobody knows."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from pipeline.config import IngestConfig
from pipeline.ingest import IngestSummary, ingest
from pipeline.readers import ReaderOptions, open_source
from storage.lake import Lake


def ingested(
    folder: Path, rows: str, split: str | None = None
) -> tuple[IngestSummary, dict[str, str], list[tuple[str, str]]]:
    """The summary, the split of each picture by its name, and the rejects with their advice."""
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "green")):
        Image.new("RGB", (8, 8), colour).save(folder / f"{name}.png")
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    source = folder / "captions.csv"
    source.write_text(f"image,caption,split\n{rows}")
    with Lake.create(folder / "lake") as lake:
        records = open_source(source, "csv", ReaderOptions())
        summary = ingest(lake, records, IngestConfig(), split=split)
        splits = lake.query("SELECT name, split FROM current_images").to_pylist()
        rejects = lake.query("SELECT reason, detail FROM current_rejects").to_pylist()
    return (
        summary,
        {row["name"]: row["split"] for row in splits},
        [(row["reason"], row["detail"]) for row in rejects],
    )


def test_an_unknown_split_is_a_reject_that_says_what_to_write(tmp_path: Path) -> None:
    rows = "a.png,a cat,train\nb.png,a dog,tset\nc.png,a cow,Validation\n"
    summary, splits, rejects = ingested(tmp_path, rows)
    assert (summary.read, summary.new_images, summary.rejected) == (3, 2, 1)
    assert splits == {"a.png": "train", "c.png": "eval"}
    assert [reason for reason, _ in rejects] == ["unknown-split"]
    assert "'tset'; say train or eval" in rejects[0][1]


def test_a_split_for_all_needs_none_of_the_rows(tmp_path: Path) -> None:
    _, splits, rejects = ingested(tmp_path, "a.png,a cat,test\nb.png,a dog,tset\n", "train")
    assert splits == {"a.png": "train", "b.png": "train"}
    assert not rejects


def test_a_picture_said_of_both_splits_is_for_evaluation(tmp_path: Path) -> None:
    for at, rows in enumerate(
        ("a.png,x,eval\ncopy.png,y,train\n", "a.png,x,train\ncopy.png,y,test\n")
    ):
        folder = tmp_path / str(at)
        folder.mkdir()
        assert ingested(folder, rows)[1] == {"a.png": "eval"}
