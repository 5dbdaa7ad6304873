"""The package groundingdino-py with published checkpoints by path, and nothing downloaded.

The package fetches BERT when it builds a network, and its wrapper around BERT calls methods that
transformers 5 no longer has. Here BERT is built empty, for a checkpoint holds its weights, and
wrapped anew with the same part names, so that published keys load. What a checkpoint was built
with is read off its keys.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from model.detectors.prompts import tokenize
from model.errors import ModelError
from model.word_pieces import bert_tokenizer

_PACKAGE = "groundingdino.models.GroundingDINO.groundingdino"
_CONFIGS = {96: "GroundingDINO_SwinT_OGC", 128: "GroundingDINO_SwinB_cfg"}
"""Width of the patch embedding -> config of the package."""


class Bert(nn.Module):
    """BERT as the package's network calls it: a mask (B, T, T) says who may attend to whom."""

    def __init__(self, bert_model: BertModel) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings, self.encoder = bert_model.embeddings, bert_model.encoder
        self.pooler = bert_model.pooler

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """States (B, T, H) as `last_hidden_state`."""
        states = self.embeddings(
            input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids
        )
        allowed = attention_mask.bool()
        allowed = allowed[:, None, None] if allowed.dim() == 2 else allowed[:, None]
        shut = torch.finfo(states.dtype).min
        added = torch.zeros(allowed.shape, dtype=states.dtype).masked_fill(~allowed, shut)
        return {"last_hidden_state": self.encoder(states, attention_mask=added)[0]}


class GroundingDinoPackage:
    """The network behind `Network`; on the CPU, for elsewhere it wants kernels of its own."""

    device = torch.device("cpu")

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()

    @classmethod
    def open(cls, file: Path) -> GroundingDinoPackage:
        """From a published `.pth` such as groundingdino_swint_ogc.

        Raises:
            ModelError: it is none, or its keys do not fit.
        """
        if not file.is_file():
            raise ModelError(
                f"{file}: no such checkpoint; download groundingdino_swint_ogc.pth or another and "
                "name it by --set ground.weights=FILE"
            )
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever the damage causes
            raise ModelError(f"{file}: cannot be read: {' '.join(str(error).split())}") from error
        weights = content.get("model", content) if isinstance(content, dict) else {}
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
        try:
            network = build(*settings_of(weights))
        except KeyError as error:
            raise ModelError(f"{file}: no Grounding-DINO, it lacks {error}") from error
        # Older checkpoints hold BERT's position numbers, which are no weights.
        missing, extra = network.load_state_dict(weights, strict=False)
        extra = [key for key in extra if not key.endswith("embeddings.position_ids")]
        if missing or extra:
            raise ModelError(
                f"{file}: keys do not fit: {len(missing)} missing ({', '.join(missing[:3])}), "
                f"{len(extra)} unknown ({', '.join(extra[:3])})"
            )
        return cls(network)

    def __call__(self, pixels: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `Network`."""
        found = self.network(pixels, captions=list(texts))
        return found["pred_logits"], found["pred_boxes"]


class _Tokenizer:
    """The package's tokenizer, padding as `tokenize` does."""

    def __call__(self, texts: Sequence[str], **_: Any) -> Any:
        return tokenize(texts)

    def convert_tokens_to_ids(self, pieces: Sequence[str]) -> Any:
        return bert_tokenizer().convert_tokens_to_ids(list(pieces))


def published_settings(name: str) -> SimpleNamespace:
    """A config of the package, such as GroundingDINO_SwinT_OGC."""
    config = vars(import_module(f"groundingdino.config.{name}"))
    return SimpleNamespace(**{key: config[key] for key in config if not key.startswith("_")})


def settings_of(weights: Mapping[str, Tensor]) -> tuple[SimpleNamespace, BertConfig]:
    """What a checkpoint was built with: the package's config and BERT's, by keys and shapes."""
    width = weights["backbone.0.patch_embed.proj.weight"].shape[0]
    settings = published_settings(_CONFIGS[width])
    settings.num_queries = weights["transformer.tgt_embed.weight"].shape[0]
    settings.enc_layers = _count(weights, r"transformer\.encoder\.layers\.(\d+)\.")
    settings.dec_layers = _count(weights, r"transformer\.decoder\.layers\.(\d+)\.")
    words = weights["bert.embeddings.word_embeddings.weight"]
    hidden = words.shape[1]
    bert = BertConfig(
        vocab_size=words.shape[0], hidden_size=hidden,
        num_hidden_layers=_count(weights, r"bert\.encoder\.layer\.(\d+)\."),
        num_attention_heads=max(1, hidden // 64),
        intermediate_size=weights["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
    )  # fmt: skip
    return settings, bert


def build(settings: SimpleNamespace, bert: BertConfig) -> nn.Module:
    """The package's network with BERT in it, weights random."""
    # Gradients are not needed, and checkpointing without them only warns.
    settings.use_checkpoint = settings.use_transformer_ckpt = False
    with _given(BertModel(bert)) as package:
        network: nn.Module = package.build_groundingdino(settings)
    return network


@contextlib.contextmanager
def _given(bert: BertModel) -> Iterator[ModuleType]:
    """The package with our BERT and tokenizer where it would fetch its own."""
    package: Any = import_module(_PACKAGE)
    source, wrapper = package.get_tokenlizer, package.BertModelWarper
    package.get_tokenlizer = SimpleNamespace(
        get_tokenlizer=lambda _: _Tokenizer(), get_pretrained_language_model=lambda _: bert
    )
    package.BertModelWarper = Bert
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield package
    finally:
        package.get_tokenlizer, package.BertModelWarper = source, wrapper


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    found = [int(match.group(1)) for key in weights if (match := re.match(pattern, key))]
    if not found:
        raise KeyError(pattern)
    return max(found) + 1
