"""WebDataset: images are found in their tars by offset, and damage costs what it hit."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.readers import read_uri
from tests.pipeline.reading import captions, fails, read


def make_tar(path: Path, members: list[tuple[str, bytes]], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as shard:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    return path


SAMPLES = [
    ("000.jpg", b"first image"), ("000.txt", b"a cat\ntom"), ("000.json", b'{"caption": "tom"}'),
    ("sub/001.json", b'{"caption": "a dog"}'), ("sub/001.PNG", b"second"),
    ("../../002.webp", b"third"),
    ("003.txt", b"no image"),
    ("004.jpeg", b"fifth"), ("004.json", b"{"), ("004.txt", b"caf\xe9"),
    ("x" * 150 + "/caf\u00e9.seg.jpg", b"long name"), ("x" * 150 + "/caf\u00e9.txt", b"sixth"),
]  # fmt: skip


def test_webdataset_addresses_images_by_offset(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", SAMPLES)
    good, bad = read(shard)
    assert [(r.name, r.captions) for r in good] == [
        ("000.jpg", ("a cat", "tom")), ("sub/001.PNG", ("a dog",)), ("../../002.webp", ()),
        ("004.jpeg", ()), ("x" * 150 + "/café.seg.jpg", ("sixth",)),
    ]  # fmt: skip
    assert all(isinstance(r.image, str) for r in good)
    contents = [read_uri(str(r.image)) for r in good]
    assert contents == [b"first image", b"second", b"third", b"fifth", b"long name"]
    assert [(b.name, b.reason) for b in bad] == [
        ("003.txt", "missing-image"), ("004.json", "bad-json"), ("004.txt", "not-utf-8"),
    ]  # fmt: skip
    assert not (tmp_path.parent / "002.webp").exists()


def test_captions_of_a_tar_that_are_no_text_are_told(tmp_path: Path) -> None:
    samples = [
        ("0.jpg", b"x"), ("0.json", b'{"caption": 5}'),
        ("1.jpg", b"y"), ("1.json", b'{"caption": ["a cat", null, {"no": 1}]}'),
        ("2.jpg", b"z"), ("2.json", b'{"caption": null}'),
    ]  # fmt: skip
    good, bad = read(make_tar(tmp_path / "shard.tar", samples))
    assert [r.captions for r in good] == [(), ("a cat",), ()]
    assert [(b.name, b.reason) for b in bad] == [
        ("0.json", "caption-not-text"), ("1.json", "caption-not-text"),
        ("1.json", "caption-not-text"),
    ]  # fmt: skip
    assert "5, not a text" in bad[0].detail


def test_folder_of_shards_in_order(tmp_path: Path) -> None:
    for number in (1, 0):
        make_tar(tmp_path / f"{number:03}.tar", [(f"{number}.jpg", b"x"), (f"{number}.txt", b"c")])
    (tmp_path / "000.parquet").write_bytes(b"img2dataset puts one beside each shard")
    assert [r.name for r in read(tmp_path)[0]] == ["0.jpg", "1.jpg"]


def test_links_in_a_tar_are_refused_one_by_one(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "s.tar", SAMPLES[:2])
    with tarfile.open(shard, "a") as archive:
        link = tarfile.TarInfo("evil.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    good, bad = read(shard)
    assert captions(good) == {"000.jpg": ("a cat", "tom")}
    assert [(b.name, b.reason) for b in bad] == [("evil.jpg", "not-a-plain-file")]


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_compressed_tars_say_how_to_decompress(tmp_path: Path, mode: str) -> None:
    shard = make_tar(tmp_path / f"s.tar.{mode}", SAMPLES, f"w:{mode}")
    fails(shard, "decompress it first", shard.name)


@pytest.mark.parametrize("cut", [100, 512, 700, 1024, 1536, 4000, 5120])
def test_truncated_tars(tmp_path: Path, cut: int) -> None:
    shard = make_tar(tmp_path / "s.tar", SAMPLES)
    shard.write_bytes(shard.read_bytes()[:cut])
    fails(shard, "s.tar", "truncated")


def test_damage_in_the_middle_of_a_tar_is_not_its_end(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "s.tar", SAMPLES)
    data = bytearray(shard.read_bytes())
    data[1024:1100] = b"\x13" * 76  # the second member's header
    shard.write_bytes(data)
    fails(shard, "damaged")
