"""Readers: every format gives its records, and bad input costs one clear line and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.readers import (
    READERS,
    Record,
    UnreadableUri,
    guess_format,
    read_uri,
)
from storage.lake import Lake
from tests.pipeline.reading import captions, fails, read, text

# ---- COCO ----------------------------------------------------------------------------------------

COCO = {
    "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
    "annotations": [
        {"image_id": 2, "caption": "a dog"},
        {"image_id": 1, "caption": "a cat"},
        {"image_id": 1, "caption": " "},
        {"image_id": 2, "caption": "one dog\n"},
        {"image_id": 9, "caption": "of nothing"},
        {"image_id": 1, "caption": 7},
        "not an object",
    ],
}


def test_coco_captions(tmp_path: Path) -> None:
    good, bad = read(text(tmp_path, json.dumps(COCO), "captions.json"))
    assert captions(good) == {"1.jpg": ("a cat",), "2.jpg": ("a dog", "one dog")}
    assert good[0].image == str(tmp_path / "1.jpg")
    assert [b.reason for b in bad] == [
        "unknown-image", "caption-not-text", "no-image-id", "empty-caption",
    ]  # fmt: skip


def test_coco_without_captions_gives_the_images(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 3}],
        "annotations": [{"image_id": 1, "category_id": 5, "bbox": [0, 0, 1, 1]}],
    }
    good, bad = read(text(tmp_path, json.dumps(content), "instances.json"))
    assert captions(good) == {"1.jpg": ()}
    assert [b.reason for b in bad] == ["no-image-name"]


def test_json_that_is_not_coco(tmp_path: Path) -> None:
    fails(text(tmp_path, '{"images": [', "cut.json"), "damaged JSON")
    fails(text(tmp_path, '{"photos": []}', "other.json"), "'annotations'", "photos")
    fails(text(tmp_path, "[]", "list.json"), "a JSON list", "coco")
    fails(text(tmp_path, b'{"images": "\xe9"}', "latin.json"), "--encoding")
    fails(text(tmp_path, "[" * 100_000, "deep.json"), "damaged JSON", format="coco")


# ---- folder --------------------------------------------------------------------------------------


def test_folder_pairs_images_with_texts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.JPG", "a.png", "sub/c.webp", ".hidden.jpg", "._b.JPG"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a.txt").write_bytes("\ufeffa cat\r\n\r\none cat\r\n".encode())
    (tmp_path / "b.txt").write_bytes(b"good\ncaf\xe9\nfine")
    (tmp_path / "sub/c.txt").write_text("\n")
    (tmp_path / "sub/lost.txt").write_text("no image")
    good, bad = read(tmp_path)
    assert [(r.name, r.captions) for r in good] == [
        ("a.png", ("a cat", "one cat")), ("b.JPG", ("good", "fine")), ("sub/c.webp", ()),
    ]  # fmt: skip
    assert good[2].image == str(tmp_path / "sub/c.webp")
    assert [(b.name, b.reason) for b in bad] == [
        ("b.txt", "not-utf-8"), ("c.txt", "empty-caption"), ("sub/lost.txt", "missing-image"),
    ]  # fmt: skip


def test_folder_survives_loops_and_odd_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/up").symlink_to(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(odd, "wb") as file:
        file.write(b"x")
    good, bad = read(tmp_path)
    assert [r.name for r in good] == ["a.jpg"]
    assert [b.reason for b in bad] == ["bad-image-name"]
    assert bad[0].name.isascii()


def test_a_lake_beside_the_images_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    Lake.create(tmp_path / "lake").close()
    (tmp_path / "lake/b.jpg").write_bytes(b"x")
    text(tmp_path / "lake/data", "x", "c.parquet")
    assert [r.name for r in read(tmp_path)[0]] == ["a.jpg"]


# ---- Parquet and Hugging Face --------------------------------------------------------------------

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def test_parquet_paths_and_lists(tmp_path: Path) -> None:
    rows = {"file_name": ["a.jpg", "b.jpg", None], "caption": [["a cat", "tom"], [""], ["x"]]}
    pq.write_table(pa.table(rows), tmp_path / "p.parquet")
    good, bad = read(tmp_path / "p.parquet")
    assert captions(good) == {"a.jpg": ("a cat", "tom"), "b.jpg": ()}
    assert good[0].image == str(tmp_path / "a.jpg")
    assert sorted(b.reason for b in bad) == ["empty-caption", "no-image-name"]


def test_parquet_embedded_images_in_a_folder_of_splits(tmp_path: Path) -> None:
    pictures = [
        {"bytes": b"1", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, None,
        {"bytes": b"4", "path": None}, {"bytes": b"5", "path": "https://x.org/e.jpg"},
    ]  # fmt: skip
    table = pa.table({"image": pa.array(pictures, PICTURE), "text": list("abcde")})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data/train-00000-of-00001.parquet")
    pq.write_table(table.slice(0, 1), tmp_path / "data/validation-00000-of-00001.parquet")
    good, bad = read(tmp_path)
    folder = tmp_path / "data"
    name = "train-00000-of-00001.parquet:3"
    assert [(r.name, r.image, r.split) for r in good] == [
        ("a.jpg", b"1", "train"), ("b.jpg", str(folder / "b.jpg"), "train"), (name, b"4", "train"),
        ("https://x.org/e.jpg", b"5", "train"), ("a.jpg", b"1", "eval"),
    ]  # fmt: skip
    assert [b.name for b in bad] == ["train-00000-of-00001.parquet:2"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data-00000-of-00001.parquet", None), ("0000.parquet", None), ("part-00000.parquet", None),
        ("test/0000.parquet", "eval"), ("train/part-00000.parquet", "train"),
        ("train/val_0.parquet", "eval"), ("default/test.parquet", "eval"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["parquet", "hf"])
def test_only_words_for_splits_in_names_of_parquet_name_one(
    tmp_path: Path, name: str, split: str | None, format: str
) -> None:
    path = tmp_path / "dev" / name  # a source that is called so says nothing
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"image": ["a.jpg"], "caption": ["a cat"]}), path)
    good, bad = read(tmp_path / "dev", format)
    assert [r.split for r in good] == [split]
    assert not bad


def test_parquet_of_bytes_over_many_row_groups(tmp_path: Path) -> None:
    count = 1000
    table = pa.table({
        "image": pa.array([b"%d" % i for i in range(count)], pa.large_binary()),
        "caption": pa.array([f"number {i}" for i in range(count)]).dictionary_encode(),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=300)
    good, _ = read(tmp_path / "p.parquet")
    assert [r.image for r in good] == [b"%d" % i for i in range(count)]
    assert [r.captions for r in good] == [(f"number {i}",) for i in range(count)]


def test_parquet_text_that_is_not_utf8(tmp_path: Path) -> None:
    wrong = pa.array([b"a cat", b"caf\xe9"], pa.binary()).view(pa.string())
    pq.write_table(
        pa.table({"image": ["a.jpg", "b.jpg"], "caption": wrong}), tmp_path / "p.parquet"
    )
    good, bad = read(tmp_path / "p.parquet")
    assert captions(good) == {"a.jpg": ("a cat",)}
    assert [(b.name, b.reason) for b in bad] == [("p.parquet:1", "not-utf-8")]


def test_parquet_errors(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(
        pa.table({"image": ["a.jpg"] * 5000, "caption": [f"{i}" for i in range(5000)]}), path
    )
    whole = path.read_bytes()
    fails(text(tmp_path, whole[:-200], "cut.parquet"), "cut.parquet", "damaged Parquet")
    fails(text(tmp_path, whole[:100] + b"\xff" * 4000 + whole[4100:], "hole.parquet"), "damaged")
    pq.write_table(pa.table({"image": [1], "caption": ["x"]}), path)
    fails(path, "'image' is int64")
    pq.write_table(pa.table({"image": ["a"], "caption": [1.5]}), path)
    fails(path, "'caption' is double")
    pq.write_table(pa.table({"image": ["a"], "label": ["x"]}), path)
    fails(path, "no caption column", "image, label")
    fails(text(tmp_path, "x", "x.parquet"), "damaged")


def test_saved_arrow_folder(tmp_path: Path) -> None:
    for split, name in (("train", "a"), ("test", "b")):
        (tmp_path / split).mkdir()
        picture = pa.array([{"bytes": name.encode(), "path": f"{name}.jpg"}] * 130, PICTURE)
        table = pa.table({"image": picture, "caption": [f"{name} {i}" for i in range(130)]})
        path = tmp_path / split / "data-00000-of-00001.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    (tmp_path / "dataset_dict.json").write_text("{}")
    good, bad = read(tmp_path)
    assert not bad
    assert [r.split for r in good] == ["eval"] * 130 + ["train"] * 130
    assert good[-1] == Record("a.jpg", b"a", ("a 129",), "train")
    path.write_bytes(path.read_bytes()[:3000])
    fails(tmp_path, "damaged Arrow")


def test_image_folder_with_metadata(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    lines = [
        b'{"file_name": "a.jpg", "captions": ["a cat", "tom"], "tags": ["cat"]}', b"",
        b'{"file_name": "b.jpg", "text": "a dog"}', b"{", b'{"file_name": 3, "text": "x"}',
        b'{"file_name": "c.jpg", "text": "caf\xe9"}', b"[1]",
    ]  # fmt: skip
    text(tmp_path / "train", b"\n".join(lines), "metadata.jsonl")
    good, bad = read(tmp_path)
    assert captions(good) == {"a.jpg": ("a cat", "tom"), "b.jpg": ("a dog",)}
    assert (good[0].image, good[0].split) == (str(tmp_path / "train/a.jpg"), "train")
    reasons = ["bad-metadata", "bad-metadata", "not-utf-8", "bad-metadata"]
    assert [b.reason for b in bad] == reasons


def test_lines_of_metadata_say_their_split(tmp_path: Path) -> None:
    said = ["test", "train", "", None, "tset", 3]
    lines = [{"file_name": f"{n}.jpg", "text": "x", "split": s} for n, s in enumerate(said)]
    (tmp_path / "train").mkdir()
    text(tmp_path / "train", "\n".join(map(json.dumps, lines)), "metadata.jsonl")
    good, bad = read(tmp_path)
    assert [r.split for r in good] == ["eval", "train", "train", "train", "tset", "3"]
    assert not bad


def test_the_name_of_the_source_itself_is_no_split(tmp_path: Path) -> None:
    source = tmp_path / "test"
    (source / "val").mkdir(parents=True)
    for folder in (source, source / "val"):
        text(folder, f'{{"file_name": "{folder.name}.jpg", "text": "x"}}', "metadata.jsonl")
    assert [(r.name, r.split) for r in read(source)[0]] == [("test.jpg", None), ("val.jpg", "eval")]
    table = pa.table({"image": ["a.jpg"], "caption": ["a cat"]})
    for folder in (source, source / "val"):
        path = folder / "data-00000-of-00001.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    assert [r.split for r in read(source)[0]] == [None, "eval"]


# ---- all formats ---------------------------------------------------------------------------------


def test_read_uri(tmp_path: Path) -> None:
    (tmp_path / "odd#1,2").write_bytes(b"whole")
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    assert read_uri(f"{tmp_path}/odd#1,2") == b"whole"
    assert read_uri(f"{tmp_path}/a.tar#2,3") == b"234"
    with pytest.raises(UnreadableUri, match="shorter"):
        read_uri(f"{tmp_path}/a.tar#8,3")
    with pytest.raises(FileNotFoundError):
        read_uri(f"{tmp_path}/none.tar#8,3")
    with pytest.raises(FileNotFoundError) as missing:
        read_uri(f"{tmp_path}/a.tar/inside.jpg")
    assert missing.value.filename == f"{tmp_path}/a.tar/inside.jpg"
    with pytest.raises(UnreadableUri):
        read_uri(f"{tmp_path}/nul\0.jpg")
    with pytest.raises(UnreadableUri):
        read_uri(f"{tmp_path}/a.tar#{10**30},3")


def test_sources_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    fails(tmp_path / "none.csv", "none.csv", "no such file")
    fails(text(tmp_path, b"", "empty.csv"), "0 bytes")
    fails(text(tmp_path, "x", "x.docx"), *READERS)
    good = text(tmp_path, "image,caption\na.jpg,x\n", "good.csv")
    fails(good, *READERS, format="cvs")
    fails(good, "--encoding klingon", encoding="klingon")
    fails(good, "--encoding base64", encoding="base64")
    fails(good, "--encoding undefined", encoding="undefined")
    fails(good, "no such folder", images=tmp_path / "none")
    fails(tmp_path, "needs the file itself", format="csv")
    fails(good, "needs a folder", format="folder")
    (tmp_path / "new").mkdir()
    fails(tmp_path / "new", "empty folder")


def test_guessing(tmp_path: Path) -> None:
    names = {"a.csv": "csv", "a.TSV": "tsv", "a.parquet": "parquet", "a.tar": "webdataset",
             "a.tar.gz": "webdataset"}  # fmt: skip
    for name, format in names.items():
        assert guess_format(tmp_path / name) == format
    assert guess_format(text(tmp_path, '\ufeff {"images": []}', "x.json")) == "coco"


def test_a_table_beside_images_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").write_bytes(b"x")
    text(tmp_path, "image,caption\na.jpg,x\n", "captions.csv")
    fails(tmp_path, "captions.csv", "--images", "--format folder")
    assert [r.name for r in read(tmp_path, "folder")[0]] == ["images/a.jpg"]
