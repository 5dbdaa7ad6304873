"""Which split a picture gets, and what becomes of a split that nobody knows."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from PIL import Image

from pipeline import ingest as ingesting
from pipeline.config import IngestConfig
from pipeline.ingest import IngestSummary, _keep, ingest
from pipeline.readers import BadRecord, ReaderOptions, Record, open_source
from storage.lake import Lake


def ingested(
    folder: Path, rows: str, split: str | None = None, eval_share: float = 0.0
) -> tuple[IngestSummary, dict[str, str], list[tuple[str, str]]]:
    """The summary, the split of each picture by its name, and the rejects with their advice."""
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "green")):
        Image.new("RGB", (8, 8), colour).save(folder / f"{name}.png")
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    source = folder / "captions.csv"
    source.write_text(f"image,caption,split\n{rows}")
    with Lake.create(folder / "lake") as lake:
        records = open_source(source, "csv", ReaderOptions())
        summary = ingest(lake, records, IngestConfig(eval_share=eval_share), split=split)
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
    for first, second in (("eval", "train"), ("train", "test")):
        folder = tmp_path / first
        folder.mkdir()
        rows = f"a.png,x,{first}\ncopy.png,y,{second}\n"
        assert ingested(folder, rows)[1] == {"a.png": "eval"}


def test_what_one_row_says_counts_more_than_what_another_leaves_open(tmp_path: Path) -> None:
    rows = "a.png,x,\ncopy.png,y,train\nb.png,z,\n"
    assert ingested(tmp_path, rows, eval_share=0.99)[1] == {"a.png": "train", "b.png": "eval"}


def test_the_same_rows_refused_in_other_words_are_rejects_of_their_own(tmp_path: Path) -> None:
    words = ["short", "a detail that is so much longer that its file is another one"]
    with Lake.create(tmp_path / "lake") as lake:
        for detail in (*words, words[0]):
            rows = [BadRecord(f"row {n}", "source", "broken", detail) for n in range(3)]
            assert ingest(lake, rows, IngestConfig()).rejected == 3
        found = lake.query("SELECT detail FROM current_rejects ORDER BY ALL").column(0).to_pylist()
    assert found == sorted(3 * words)


def test_a_reject_counts_once_and_until_its_picture_comes(tmp_path: Path) -> None:
    source = tmp_path / "captions.csv"
    rows = "image,caption,split\nlate.png,a cat,\ngone.png,a dog,\na.png,x,\na.png,y,tset\n"

    def brought(*names: str) -> list[str]:
        nonlocal rows
        for name in names:
            Image.new("RGB", (8, 8), f"#0000{len(rows):02x}").save(tmp_path / name)
            rows += f"{name},one more,\n"
        source.write_text(rows)
        with Lake.open(tmp_path / "lake") as lake:
            ingest(lake, open_source(source, "csv", ReaderOptions()), IngestConfig())
            sql = "SELECT item || ' ' || reason AS r FROM current_rejects ORDER BY ALL"
            found: list[str] = lake.query(sql).column(0).to_pylist()
        return found

    Lake.create(tmp_path / "lake").close()
    split = "a.png unknown-split"
    missing = ["gone.png missing-image", "late.png missing-image"]
    assert brought("a.png") == [split, *missing]
    assert brought("b.png") == [split, *missing]
    assert brought("late.png") == [split, missing[0]]
    assert brought() == [split, missing[0]]
    with Lake.open(tmp_path / "lake") as lake:
        assert lake.scalar("SELECT count(*) FROM rejects") == 8


def test_two_threads_that_keep_the_same_bytes_share_one_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_wrote = Barrier(2, timeout=10)
    write = Path.write_bytes

    def written(path: Path, data: bytes) -> int:
        count = write(path, data)
        both_wrote.wait()
        return count

    monkeypatch.setattr(Path, "write_bytes", written)
    with ThreadPoolExecutor(2) as pool:
        names = [pool.submit(_keep, tmp_path, "abcd", b"bytes") for _ in range(2)]
        assert [name.result() for name in names] == ["lake:blobs/ab/abcd"] * 2
    assert [path.name for path in (tmp_path / "blobs" / "ab").iterdir()] == ["abcd"]
    assert (tmp_path / "blobs" / "ab" / "abcd").read_bytes() == b"bytes"


def test_two_ingests_at_once_bring_a_picture_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    Lake.create(tmp_path / "lake").close()
    commit = ingesting._commit

    def bring(caption: str) -> int:
        with Lake.open(tmp_path / "lake") as lake:
            record = Record("a.png", str(tmp_path / "a.png"), (caption,))
            return ingest(lake, [record], IngestConfig()).new_images

    with ThreadPoolExecutor(1) as pool:

        def second_comes_in_between(*arguments: Any) -> int:
            monkeypatch.setattr(ingesting, "_commit", commit)
            second.append(pool.submit(bring, "another caption"))
            wait(second, timeout=2)
            return commit(*arguments)

        second: list[Future[int]] = []
        monkeypatch.setattr(ingesting, "_commit", second_comes_in_between)
        assert bring("a caption") == 1
        assert second[0].result() == 0
    with Lake.open(tmp_path / "lake", read_only=True) as lake:
        assert lake.scalar("SELECT count(*) FROM current_images") == 1
        assert lake.scalar("SELECT count(*) FROM current_captions") == 2
