"""RAM's tag-guided text encoder-decoder, through the BLIP text networks of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BlipTextConfig
from transformers.models.blip.modeling_blip_text import BlipTextLMHeadModel, BlipTextModel

from model.decoder import RecognitionDecoder
from model.errors import ModelError
from model.word_pieces import bert_tokenizer

PROMPT = "a picture of "
PROMPT_PIECES = 4
"""[DEC] a picture of: what generation starts from and what the caption loss leaves out."""
MAX_PIECES = 40
SMOOTHING = 0.1
BEGIN, ENCODE, SEPARATOR, PAD = 30522, 30523, 102, 0
"""[DEC] and [ENC] behind the 30,522 pieces of bert-base-uncased; [SEP] and [PAD] in it."""
IGNORED = -100


@dataclass(frozen=True)
class TextShape:
    """What decides the sizes of the text encoder and decoder; the defaults are the published."""

    vocabulary: int = 30524
    hidden: int = 768
    feed_forward: int = 3072
    encoder_layers: int = 12
    decoder_layers: int = 12
    heads: int = 12
    positions: int = 512


class TagGuidedCaptioner(nn.Module):
    """Tags look at the image in the encoder, words look at the tags in the decoder (RAM, fig. 3).

    The encoder's first layers share cross-attention and feed-forward with the recognition decoder,
    which splits the same weights into other heads, as in RAM's own code.
    """

    def __init__(
        self, shape: TextShape, image_dim: int, recognition: RecognitionDecoder, dropout: float
    ) -> None:
        super().__init__()
        self.shape = shape
        self.tag_encoder = BlipTextModel(
            _config(shape, shape.encoder_layers, image_dim, dropout), add_pooling_layer=False
        )
        self.text_decoder = BlipTextLMHeadModel(
            _config(shape, shape.decoder_layers, shape.hidden, dropout)
        )
        self.text_decoder.cls.predictions.decoder.weight = (
            self.text_decoder.bert.embeddings.word_embeddings.weight
        )
        self.text_decoder.cls.predictions.decoder.bias = self.text_decoder.cls.predictions.bias
        encoder_layers: Any = self.tag_encoder.encoder.layer
        shared_layers: Any = recognition.layers
        for own, shared in zip(encoder_layers, shared_layers, strict=False):
            cross = own.crossattention
            cross.self.query, cross.self.key = shared.query, shared.key
            cross.self.value = shared.value
            cross.output.dense, cross.output.LayerNorm = shared.output, shared.norm1
            own.intermediate.dense, own.output.dense = shared.intermediate, shared.dense
            own.output.LayerNorm = shared.norm2

    def guide(self, tokens: Tensor, tags: Sequence[Sequence[str]]) -> Tensor:
        """What the words look at: image tokens (B, T, W) and tags per image give (B, 40, H).

        Tags are joined by " | " in the order given and cut at 40 word pieces, as published. All 40
        positions are looked at later, those of the padding too.
        """
        text = bert_tokenizer()(
            [" | ".join(row) for row in tags],
            padding="max_length", truncation=True, max_length=MAX_PIECES, return_tensors="pt",
        ).to(tokens.device)  # fmt: skip
        pieces = text.input_ids
        self._check(pieces)
        pieces[:, 0] = ENCODE
        states: Tensor = self.tag_encoder(
            pieces,
            attention_mask=text.attention_mask,
            encoder_hidden_states=tokens,
        ).last_hidden_state
        return states

    def loss(
        self, tokens: Tensor, tags: Sequence[Sequence[str]], captions: Sequence[str]
    ) -> Tensor:
        """Mean cross-entropy of the next piece over all captions, label smoothing 0.1.

        The first 4 targets are left out, though training captions carry no prompt, as published.
        """
        text = bert_tokenizer()(
            list(captions), padding="longest", truncation=True, max_length=MAX_PIECES,
            return_tensors="pt",
        ).to(tokens.device)  # fmt: skip
        pieces = text.input_ids
        self._check(pieces)
        pieces[:, 0] = BEGIN
        targets = pieces.masked_fill(pieces == PAD, IGNORED)
        targets[:, :PROMPT_PIECES] = IGNORED
        logits: Tensor = self.text_decoder(
            pieces,
            attention_mask=text.attention_mask,
            encoder_hidden_states=self.guide(tokens, tags),
        ).logits
        return nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), label_smoothing=SMOOTHING,
            ignore_index=IGNORED,
        )  # fmt: skip

    @torch.inference_mode()
    def pieces(
        self,
        tokens: Tensor,
        tags: Sequence[Sequence[str]],
        *,
        beams: int = 3,
        min_pieces: int = 10,
        max_pieces: int = 30,
    ) -> Tensor:
        """Word pieces (B, T) of one caption an image by beam search, prompt included, padded.

        `min_pieces` and `max_pieces` count the 4 pieces of the prompt, as in RAM's own code.
        """
        start = bert_tokenizer()([PROMPT] * len(tokens), return_tensors="pt").input_ids[:, :-1]
        start[:, 0] = BEGIN
        decoder: Any = self.text_decoder
        found: Tensor = decoder.generate(
            input_ids=start.to(tokens.device),
            encoder_hidden_states=self.guide(tokens, tags),
            num_beams=beams, min_length=min_pieces, max_length=max_pieces, do_sample=False,
            eos_token_id=SEPARATOR, pad_token_id=PAD, bos_token_id=BEGIN, length_penalty=1.0,
        )  # fmt: skip
        # transformers fills up with the end, since it takes a padding of 0 for none.
        ended = (found == SEPARATOR).cumsum(dim=1) - (found == SEPARATOR).long()
        return found.masked_fill(ended > 0, PAD)

    def captions(self, tokens: Tensor, tags: Sequence[Sequence[str]], **limits: int) -> list[str]:
        """The captions of `pieces` as text, without the prompt."""
        texts = bert_tokenizer().batch_decode(
            self.pieces(tokens, tags, **limits), skip_special_tokens=True
        )
        return [text[len(PROMPT) :].strip() for text in texts]

    def _check(self, pieces: Tensor) -> None:
        if self.shape.vocabulary <= ENCODE or int(pieces.max()) >= self.shape.vocabulary:
            raise ModelError(
                f"a vocabulary of {self.shape.vocabulary} pieces is not that of bert-base-uncased "
                f"with [DEC] and [ENC], {ENCODE + 1}; this checkpoint cannot read or write text"
            )


def _config(shape: TextShape, layers: int, looks_at: int, dropout: float) -> BlipTextConfig:
    if shape.hidden % shape.heads:
        raise ModelError(
            f"a hidden width of {shape.hidden} does not split into {shape.heads} text heads; "
            "say how many the checkpoint has"
        )
    return BlipTextConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, encoder_hidden_size=looks_at,
        intermediate_size=shape.feed_forward, num_hidden_layers=layers,
        num_attention_heads=shape.heads, max_position_embeddings=shape.positions,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        hidden_act="gelu", layer_norm_eps=1e-12, is_decoder=True, use_cache=True,
        bos_token_id=BEGIN, sep_token_id=SEPARATOR, eos_token_id=SEPARATOR, pad_token_id=PAD,
    )  # fmt: skip
