"""CSV and TSV: whatever tables hold, bad rows cost one clear line and nothing else."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.readers import ReaderOptions
from tests.pipeline.reading import captions, fails, read, text


def test_csv_merges_neighbouring_rows_and_finds_images_beside_it(tmp_path: Path) -> None:
    source = text(tmp_path, "image,caption\na.jpg,a cat\na.jpg,one cat\nb.jpg,a dog\na.jpg,late\n")
    good, bad = read(source)
    assert [(r.name, r.captions) for r in good] == [
        ("a.jpg", ("a cat", "one cat")), ("b.jpg", ("a dog",)), ("a.jpg", ("late",)),
    ]  # fmt: skip
    assert good[0].image == str(tmp_path / "a.jpg")
    assert not bad


def test_images_option_moves_the_images(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    source = text(tmp_path, "image,caption\nsub/a.jpg,a cat\n/elsewhere/b.jpg,a dog\n")
    good, _ = read(source, options=ReaderOptions(images=tmp_path / "photos"))
    assert [r.image for r in good] == [str(tmp_path / "photos/sub/a.jpg"), "/elsewhere/b.jpg"]


@pytest.mark.parametrize("image", ["image", "image_path", "FileName", " file_name ", "img", "path"])
@pytest.mark.parametrize("caption", ["caption", "Text", "title", "sentence", "captions"])
def test_column_names(tmp_path: Path, image: str, caption: str) -> None:
    source = text(tmp_path, f"id,{caption},{image}\n1,a cat,a.jpg\n")
    assert captions(read(source)[0]) == {"a.jpg": ("a cat",)}


def test_crlf_bom_quotes_and_newlines_in_quotes(tmp_path: Path) -> None:
    content = (
        '\ufeffimage,caption\r\na.jpg,"a ""big"" cat, sitting\r\non a mat"\r\n\r\nb.jpg,dog\r\n'
    )
    good, bad = read(text(tmp_path, content))
    assert captions(good) == {
        "a.jpg": ('a "big" cat, sitting\r\non a mat',), "b.jpg": ("dog",),
    }  # fmt: skip
    assert not bad


def test_tsv_takes_stray_quotes_as_they_stand(tmp_path: Path) -> None:
    content = 'image\tcaption\na.jpg\t"Stop" says a sign\nb.jpg\t"unclosed\nc.jpg\ta 12" ruler\n'
    good, bad = read(text(tmp_path, content, "pairs.tsv"))
    assert captions(good) == {
        "a.jpg": ('"Stop" says a sign',), "b.jpg": ('"unclosed',), "c.jpg": ('a 12" ruler',),
    }  # fmt: skip
    assert not bad


def test_an_unclosed_quote_costs_its_own_row_only(tmp_path: Path) -> None:
    rows = "".join(f"{i}.jpg,number {i}\n" for i in range(20))
    good, bad = read(text(tmp_path, f'image,caption\na.jpg,"never closed\n{rows}short\n'))
    assert [record.name for record in good] == [f"{i}.jpg" for i in range(20)]
    assert [(b.reason, b.name) for b in bad] == [
        ("broken-quotes", "pairs.csv:2"), ("too-few-fields", "pairs.csv:23"),
    ]  # fmt: skip


def test_an_unclosed_quote_in_a_long_file_does_not_swallow_it(tmp_path: Path) -> None:
    rows = "".join(f"{i}.jpg,number {i}\n" for i in range(30_000))
    good, bad = read(text(tmp_path, f'image,caption\na.jpg,"never closed\n{rows}z.jpg,12"\n'))
    assert (len(good), len(bad)) == (30_001, 1)


def test_row_with_wrong_number_of_fields(tmp_path: Path) -> None:
    source = text(tmp_path, "image,caption\na.jpg\nb.jpg,a dog, running\nc.jpg,fine,\nd.jpg,x\n")
    good, bad = read(source)
    assert captions(good) == {"c.jpg": ("fine",), "d.jpg": ("x",)}
    assert [(b.name, b.reason) for b in bad] == [
        ("pairs.csv:2", "too-few-fields"), ("pairs.csv:3", "too-many-fields"),
    ]  # fmt: skip
    assert "expected 2" in bad[0].detail
    assert bad[0].uri == f"{source}:2"


def test_row_in_another_encoding_is_put_aside(tmp_path: Path) -> None:
    source = text(tmp_path, b"image,caption\na.jpg,caf\xe9\nb.jpg,caf\xc3\xa9\n")
    good, bad = read(source)
    assert captions(good) == {"b.jpg": ("café",)}
    assert bad[0].reason == "not-utf-8"
    assert "--encoding latin-1" in bad[0].detail
    good, bad = read(source, options=ReaderOptions(encoding="latin-1"))
    assert captions(good)["a.jpg"] == ("café",)
    assert not bad


def test_utf16_is_refused_or_read_when_named(tmp_path: Path) -> None:
    source = text(tmp_path, "image,caption\na.jpg,café\n".encode("utf-16"))
    fails(source, "--encoding utf-16")
    assert captions(read(source, options=ReaderOptions(encoding="utf-16"))[0]) == {
        "a.jpg": ("café",)
    }
    fails(text(tmp_path, "image,caption\na,b\n".encode("utf-16-le"), "n.csv"), "NUL bytes")


def test_caption_of_a_megabyte_is_whole(tmp_path: Path) -> None:
    long = "word " * 300_000
    good, _ = read(text(tmp_path, f'image,caption\na.jpg,"{long}"\n'))
    assert good[0].captions == (long.strip(),)


def test_empty_caption_leaves_the_image_and_emoji_are_captions(tmp_path: Path) -> None:
    good, bad = read(text(tmp_path, "image,caption\na.jpg,\nb.jpg,   \nc.jpg,🐈‍⬛🔥\n"))
    assert captions(good) == {"a.jpg": (), "b.jpg": (), "c.jpg": ("🐈‍⬛🔥",)}
    assert [(b.name, b.reason) for b in bad] == [
        ("a.jpg", "empty-caption"), ("b.jpg", "empty-caption"),
    ]  # fmt: skip


def test_names_that_cannot_be_files(tmp_path: Path) -> None:
    content = (
        "image,caption\n,no name\nhttps://x.org/a.jpg,far\nn\0.jpg,nul\nok.jpg,n\0ul\nb.jpg,b\n"
    )
    # The NUL lies behind the first 4 KiB, where a whole file of another encoding would show.
    padding = "".join(f"p{i}.jpg,{'x' * 100}\n" for i in range(60))
    good, bad = read(text(tmp_path, content.replace("\n", "\n" + padding, 1)))
    assert good[-1].name == "b.jpg"
    assert [b.reason for b in bad] == ["no-image-name", "remote-image", "nul-byte", "nul-byte"]


def test_missing_column_names_those_found_and_accepted(tmp_path: Path) -> None:
    fails(text(tmp_path, "image,label\na.jpg,cat\n"), "no caption column", "image, label", "title")
    fails(text(tmp_path, "url,caption\nx,cat\n"), "no image column", "url, caption", "file_name")
    fails(text(tmp_path, "image;caption\na.jpg;cat\n"), "separated by ';'")
    fails(text(tmp_path, "image\tcaption\na.jpg\tcat\n"), "--format tsv")
    fails(text(tmp_path, "\n\n"), "no header")


def test_rows_of_two_splits_do_not_merge(tmp_path: Path) -> None:
    good, _ = read(text(tmp_path, "image,caption,split\na.jpg,x,train\na.jpg,y,test\n"))
    assert [(r.captions, r.split) for r in good] == [(("x",), "train"), (("y",), "eval")]


def test_split_column_and_json_lists(tmp_path: Path) -> None:
    content = (
        "image,captions,split\n"
        'a.jpg,"[""a cat"", ""a tom""]",train\nb.jpg,[sic] a dog,VAL\nc.jpg,[1],other\n'
    )
    good, _ = read(text(tmp_path, content))
    assert captions(good) == {
        "a.jpg": ("a cat", "a tom"), "b.jpg": ("[sic] a dog",), "c.jpg": ("[1]",),
    }  # fmt: skip
    assert [r.split for r in good] == ["train", "eval", "other"]


def test_quotes_of_two_rows_of_tabs_do_not_pair(tmp_path: Path) -> None:
    rows = (
        'a.jpg\t"Hello, she said\nb.jpg\ta dog\n\nc.jpg\tand he: good bye"\nd.jpg\t"two\nlines"\n'
    )
    good, bad = read(text(tmp_path, f"image\tcaption\n{rows}", "pairs.tsv"))
    assert captions(good) == {
        "a.jpg": ('"Hello, she said',), "b.jpg": ("a dog",), "c.jpg": ('and he: good bye"',),
        "d.jpg": ("two\nlines",),
    }  # fmt: skip
    assert not bad


CAPTION = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(["a.jpg", "b c.png", 'd"e.jpg', "ü.jpg"]), CAPTION)),
    tabs=st.booleans(),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_csv_writes_comes_back(
    pairs: list[tuple[str, str]], tabs: bool, ends: str
) -> None:
    if tabs:  # with a line break a tab may make two rows of one
        pairs = [(name, caption.replace("\t", " ")) for name, caption in pairs]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / ("pairs.tsv" if tabs else "pairs.csv")
        with source.open("w", encoding="utf-8", newline="") as file:
            # Left alone, this Python's writer forgets to quote a lone carriage return.
            quoting = csv.QUOTE_ALL if any("\r" in c for _, c in pairs) else csv.QUOTE_MINIMAL
            delimiter = "\t" if tabs else ","
            writer = csv.writer(file, delimiter=delimiter, lineterminator=ends, quoting=quoting)
            writer.writerow(["image", "caption"])
            writer.writerows(pairs)
        good, bad = read(source)
    found = [(record.name, caption) for record in good for caption in record.captions]
    assert found == [(name, caption.strip()) for name, caption in pairs if caption.strip()]
    assert {b.reason for b in bad} <= {"empty-caption"}
    assert len(bad) == sum(not caption.strip() for _, caption in pairs)
