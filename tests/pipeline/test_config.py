"""Settings change what they name and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import FINE_TUNING, Config, file_settings, load_config
from pipeline.errors import ConfigError


def test_a_recipe_keeps_what_a_setting_does_not_name(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[retrain.finetune]\nencoder_epochs = 2\n")
    for config in (
        load_config(file),
        load_config(None, ["retrain.finetune.encoder_epochs=2"]),
        load_config(file, ["retrain.finetune.encoder_epochs=2"]),
    ):
        assert config.retrain.finetune == FINE_TUNING.model_copy(update={"encoder_epochs": 2})
        changed = config.retrain.model_copy(update={"finetune": FINE_TUNING})
        assert config.model_copy(update={"retrain": changed}) == Config()
    assert load_config() == Config()


@pytest.mark.parametrize(("name", "text"), [("c.toml", "seed = 7\n"), ("c.yaml", "seed: 7\n")])
def test_a_file_with_a_byte_order_mark_is_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert load_config(tmp_path / name) == Config(seed=7)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("retrain.finetune=3", "config retrain.finetune: "),
        ("retrain.finetuned.epochs=3", "did you mean finetune?"),
        ("ground.budget=0", "config ground.budget: "),
        ("ground.budget=1.5", "config ground.budget: "),
        ("seed.x=1", "config seed: "),
        ("seed=-1", "config seed: "),
        ("retrain.tagger.heads=7", "config retrain.tagger.heads: 128 (hidden) cannot be cut into"),
        ("retrain.tagger.heads=0", "config retrain.tagger.heads: "),
        ("refine.captioner.hidden=50", "config refine.captioner.heads: 50 (hidden) cannot be cut"),
    ],
)
def test_a_mistake_is_named(setting: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [setting])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


SAID = """
seed = 7
[clean]
cut = "paper"
spare = ["dog, small", "no", "1e3", "yellow: \\u00e9", "😀 𠮷"]
[retrain]
clean_subset = "SELECT image_id FROM tags WHERE name <> 'a = b' # \\"all\\" of them"
[retrain.finetune]
encoder_epochs = 2
lr = 1e-5
"""


def test_what_a_file_says_is_the_same_as_settings(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(SAID)
    config = load_config(file)
    assert config.clean.spare[-2:] == ("yellow: \u00e9", "\U0001f600 \U00020bb7")
    assert load_config(None, file_settings(file)) == config
    file.write_text("[clean]\ncuts = 3\n")
    with pytest.raises(ConfigError, match=r"did you mean cut\?"):
        file_settings(file)
    file.write_text("")
    assert file_settings(file) == []
