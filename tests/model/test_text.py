"""Label queries from the real text encoder: length one, meaning, and refusal of empty names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import ModelError
from model.minilm import open_minilm
from model.text import TextEncoder
from model.word_pieces import FOLDER, bert_tokenizer


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder()


def test_queries_mean_something(text: TextEncoder) -> None:
    rows = text.label_queries(["dog", "puppy", "skyscraper"])
    assert rows.shape == (3, TextEncoder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.1


def test_company_hardly_changes_a_query(text: TextEncoder) -> None:
    among = text.label_queries(["dog", "a very long name of some label or other"])[0]
    np.testing.assert_allclose(among, text.label_queries(["dog"])[0], atol=1e-5)


def test_underscores_are_spaces(text: TextEncoder) -> None:
    rows = text.label_queries(["fire_hydrant", "fire hydrant"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)


def test_empty_names_are_refused(text: TextEncoder) -> None:
    with pytest.raises(ModelError, match="empty"):
        text.label_queries(["dog", "  "])
    assert text.label_queries([]).shape == (0, TextEncoder.dim)


def test_the_network_is_the_published_one() -> None:
    from transformers import AutoModel

    published = AutoModel.from_pretrained(FOLDER, local_files_only=True).eval()
    names = ["a dog", "a very long name of some label or other", "crème brûlée"]
    batch = bert_tokenizer()(names, padding=True, return_tensors="pt")
    mask = batch["attention_mask"].bool()
    assert not mask.all()
    with torch.inference_mode():
        wanted = published(**batch).last_hidden_state
        found = open_minilm(FOLDER)(batch["input_ids"], mask)
        pooled = torch.nn.functional.normalize((wanted * mask[..., None]).sum(1), dim=-1)
    torch.testing.assert_close(found[mask], wanted[mask], atol=1e-5, rtol=0)
    np.testing.assert_allclose(TextEncoder()._embed(names), pooled.numpy(), atol=1e-5)


def test_workers_need_not_import_transformers() -> None:
    script = (
        "import sys; import pipeline.plan, pipeline.ablation; from model.text import TextEncoder; "
        "from model.word_pieces import word_pieces; "
        "TextEncoder().label_queries(['dog']); word_pieces().encode('a dog'); "
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
