"""Tiny Grounding-DINOs with random weights, as both backends keep one on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection

from model.detectors.groundingdino import build, published_settings


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


def tiny_package(path: Path) -> Path:
    """Few layers of the package's network as published: under "model", "module." before keys."""
    torch.manual_seed(0)
    few = published_settings("GroundingDINO_SwinT_OGC")
    few.enc_layers, few.dec_layers, few.num_queries = 1, 2, 20
    bert = BertConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64
    )
    network = build(few, bert)
    weights = {f"module.{key}": value for key, value in network.state_dict().items()}
    weights["module.bert.embeddings.position_ids"] = torch.arange(512)[None]
    torch.save({"model": weights}, path)
    return path
