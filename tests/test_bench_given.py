"""What benchmarks are given: data that does not fit is one clear line, and no two are mixed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench import photos, rerun, run_benchmark
from bench.generation import _split_captions
from bench.given import columns_of, digest_of, number
from bench.lakes import left_out
from bench.parse import captions_of
from pipeline.config import load_config
from pipeline.errors import PlanError, SourceError
from pipeline.ingest import ingest
from pipeline.readers import ReaderOptions, open_source
from storage.lake import Lake


def captions(folder: Path, rows: str, header: str = "image,caption") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "captions.csv").write_text(f"{header}\n{rows}")
    return folder


def test_columns_and_numbers(tmp_path: Path) -> None:
    data = captions(tmp_path / "data", "a.jpg,x\nb.jpg\n")
    path = data / "captions.csv"
    assert columns_of(path, "caption", "image") == [("x", "a.jpg"), ("", "b.jpg")]
    assert captions_of(data) == captions_of(path) == ["x", ""]
    assert number({"wrong": 0}, "wrong", 0.1) == 0.0
    assert number({"scenes": 7}, "scenes", 5) == 7
    assert number({}, "scenes", 5) == 5


@pytest.mark.parametrize("name", ["generation", "parse", "rerun", "stream"])
def test_a_table_without_captions_is_one_clear_line(name: str, tmp_path: Path) -> None:
    data = captions(tmp_path / "data", "a.jpg,x\n", "image,label")
    with pytest.raises(SourceError, match=r"captions\.csv: no (column caption|caption column)"):
        run_benchmark(name, data, (0,), tmp_path / "out")
    (data / "captions.csv").unlink()
    with pytest.raises(SourceError, match=r"captions\.csv: no such file"):
        run_benchmark(name, data, (0,), tmp_path / "out")


def test_each_data_set_has_lakes_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[tuple[Path, Path]] = []

    def one(base: Path, path: Path, *_: Any) -> dict[str, Any]:
        filled.append((base, path))
        return {"by": {}, "wrong": 0, "right": 0, "seconds": 0.0}

    monkeypatch.setattr(photos, "_fill", lambda *_: None)
    monkeypatch.setattr(photos, "_one", one)
    for caption in ("a cat", "a dog", "a cat"):
        data = captions(tmp_path / "data", f"a.jpg,{caption}\n")
        run_benchmark("photos", data, (0,), tmp_path / "out")
    assert filled[0] == filled[2]
    assert not set(filled[0]) & set(filled[1])


def test_what_a_rerun_calls_prints_nothing_of_its_own_and_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = subprocess.run
    lines = "import sys; print('a table'); print('error: why', file=sys.stderr); sys.exit(3)"

    def failing(command: list[str], **options: Any) -> Any:
        return run([command[0], "-c", lines], **options)

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(SourceError, match="`tagwright ingest` failed, status 3"):
        rerun._call("ingest", "x.csv", tmp_path)
    assert capfd.readouterr() == ("", "error: why\n")


def test_a_data_set_with_other_pictures_is_another(tmp_path: Path) -> None:
    data = captions(tmp_path / "data", "a.jpg,a cat\n")
    pictures = data / "images" / "sub"
    pictures.mkdir(parents=True)
    digests = [digest_of(data)]
    for content in (b"whole", b"mended!"):
        (pictures / "a.jpg").write_bytes(content)
        digests.append(digest_of(data))
    assert len(set(digests)) == 3
    assert digest_of(data) == digests[-1]


def test_generation_reads_captions_as_ingest_does(tmp_path: Path) -> None:
    rows = (
        'a.jpg,\na.jpg,a dog\n" a.jpg ",a cat\nb.jpg,"a ""red"" bus, parked"\n'
        "c.jpg,a dog, a cat\na.jpg,a bird\n"
    )
    data = captions(tmp_path / "data", rows, "image, caption")
    first, others = _split_captions(data / "captions.csv")
    assert first == {"a.jpg": "a dog", "b.jpg": 'a "red" bus, parked'}
    assert others == {"a.jpg": ["a cat", "a bird"]}


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    data = captions(tmp_path / "data", "a.png,a cat\nb.png,a dog\n")
    (data / "images").mkdir()
    with pytest.raises(SourceError, match=r"none of the 2 records can be used, such as a\.png: "):
        photos._fill(tmp_path / "none", data)
    Image.new("RGB", (8, 8), "red").save(data / "images" / "b.png")
    records = open_source(data / "captions.csv", "csv", ReaderOptions(images=data / "images"))
    with Lake.create(tmp_path / "some") as lake:
        ingest(lake, records, load_config().ingest)
        (note,) = left_out(lake)
    assert note.startswith("1 records could not be used, such as a.png: ")


def test_noise_sets_the_share_of_wrong_tags_itself(tmp_path: Path) -> None:
    for key in ("wrong", "eval_scenes"):
        with pytest.raises(PlanError, match=f"--set {key}: noise sets that itself"):
            run_benchmark("noise", None, (0,), tmp_path / "out", [f"{key}=0.3"])
    assert not (tmp_path / "out").exists()
