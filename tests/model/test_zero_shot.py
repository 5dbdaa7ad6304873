"""CLIP and BLIP by path: real classes of transformers with tiny random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    BlipConfig,
    BlipForImageTextRetrieval,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    SiglipConfig,
    SiglipModel,
)

from model.clip import CLIP_MEAN, CLIP_STD, Clip
from model.errors import ModelError
from model.pixels import Pixels
from model.prompts import sentences
from model.text import TEMPLATES
from model.word_pieces import bert_tokenizer
from model.zero_shot import BlipTagger, ClipTagger

PICTURES = [Image.effect_noise((40, 30), sigma).convert("RGB") for sigma in (20, 90)]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(c) for c in range(33, 127)]
    words = [*letters, *[c + "</w>" for c in letters], "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    text = {
        "vocab_size": len(words), "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 77,
        "bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 32, "patch_size": 16,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    CLIPModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    bert_tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    text = {
        "vocab_size": 30522, "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 1, "num_attention_heads": 2,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 32, "patch_size": 16, "initializer_range": 0.05,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=12)
    BlipForImageTextRetrieval(config).save_pretrained(folder)
    return folder


def test_clip_scores_are_its_own_cosines(clip_folder: Path) -> None:
    tagger = ClipTagger(Clip(clip_folder)).asked(["dog", "red_car"])
    scores = tagger.score(PICTURES)
    model = CLIPModel.from_pretrained(clip_folder).eval()
    words = CLIPTokenizer.from_pretrained(clip_folder)
    look = Pixels(32, CLIP_MEAN, CLIP_STD)
    pixels = torch.stack([look.inference(picture) for picture in PICTURES])
    for column, name in enumerate(("dog", "red_car")):
        # Each sentence alone: the padding of the others must not matter.
        seen = [
            model(**words(sentence, return_tensors="pt"), pixel_values=pixels)
            for sentence in sentences(name)
        ]
        text = torch.cat([s.text_embeds for s in seen]).mean(dim=0)
        wanted = seen[0].image_embeds @ (text / text.norm())
        np.testing.assert_allclose(scores[:, column], wanted.detach(), atol=1e-5)
    assert tagger.thresholds is None and tagger.names == ("dog", "red_car")


def test_blip_scores_are_its_own_cosines(blip_folder: Path) -> None:
    tagger = BlipTagger.open(blip_folder).asked(["dog", "a red car"])
    scores = tagger.score(PICTURES)
    model = BlipForImageTextRetrieval.from_pretrained(blip_folder).eval()
    look = Pixels(32, CLIP_MEAN, CLIP_STD)
    pixels = torch.stack([look.inference(picture) for picture in PICTURES])
    single = BlipTagger.open(blip_folder)
    for column, name in enumerate(("dog", "a red car")):
        alone = single.asked([name]).score(PICTURES)[:, 0]
        np.testing.assert_allclose(scores[:, column], alone, atol=1e-5)
    # A sentence's length is 1, so scores are the sum of its own over sentences, but for one factor
    # a tag: between two pictures the proportion is the same.
    for column, name in enumerate(("dog", "a red car")):
        own = torch.zeros(2)
        for template in TEMPLATES:
            words = bert_tokenizer()(template.format(name), return_tensors="pt")
            own += model(
                words.input_ids, pixel_values=pixels, attention_mask=words.attention_mask,
                use_itm_head=False,
            ).itm_score[:, 0].detach()  # fmt: skip
        assert scores[0, column] / scores[1, column] == pytest.approx(
            (own[0] / own[1]).item(), rel=1e-3
        )


def test_a_zero_shot_model_must_be_asked(clip_folder: Path) -> None:
    with pytest.raises(ModelError, match="--tags"):
        ClipTagger(Clip(clip_folder)).score(PICTURES)


@pytest.mark.parametrize("open_model", (Clip, BlipTagger.open))
def test_a_folder_without_the_model_is_one_line(open_model: type, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path}: no (CLIP|BLIP)") as error:
        open_model(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("open_model", "name", "key"),
    (
        (Clip, "clip_folder", "text_projection.weight"),
        (BlipTagger.open, "blip_folder", "vision_proj.bias"),
    ),
)
def test_weights_that_are_missing_are_no_random_ones(
    open_model: type, name: str, key: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = shutil.copytree(request.getfixturevalue(name), tmp_path / "cut")
    weights = load_file(folder / "model.safetensors")
    del weights[key]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"weights missing .*: 1, such as {key}"):
        open_model(folder)


def test_a_model_of_another_kind_is_one_line(tmp_path: Path) -> None:
    """SigLIP is near enough to CLIP to be opened as one, with weights of other sizes."""
    sides = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config=sides | {"vocab_size": 98, "num_hidden_layers": 1},
        vision_config=sides | {"image_size": 32, "patch_size": 16, "num_hidden_layers": 1},
    )
    SiglipModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"{tmp_path}: no whole CLIP model: .*: 7,") as error:
        Clip(tmp_path)
    assert "\n" not in str(error.value)
