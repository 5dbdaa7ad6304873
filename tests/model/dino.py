"""A tiny Grounding-DINO with random weights, as transformers keeps one on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection


def tiny_dino(folder: Path) -> Path:
    """Write one into `folder`; 1.5 million parameters, most of them word embeddings."""
    torch.manual_seed(0)
    text = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 32}  # fmt: skip
    swin = {"model_type": "swin", "embed_dim": 16, "depths": [1, 1, 1, 1],
            "num_heads": [1, 2, 2, 2], "window_size": 4,
            "out_features": ["stage2", "stage3", "stage4"]}  # fmt: skip
    config = GroundingDinoConfig(
        d_model=64, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=20,
        text_config=text, backbone_config=swin,
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    return folder
