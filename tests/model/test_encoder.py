"""The image encoder with its real weights: shapes, digest, and independence of the company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from model.encoder import (
    ENCODERS,
    EfficientNetLite0,
    Encoder,
    encoder_with,
    make_encoder,
)
from model.errors import ModelError
from model.last_blocks import square


@pytest.fixture(scope="module", params=sorted(ENCODERS))
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return make_encoder(request.param)


def grid_of(encoder: Encoder) -> int:
    assert isinstance(encoder, EfficientNetLite0)
    return encoder.grid


def pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 255, (20 + i, 30, 3), dtype=np.uint8)) for i in range(count)
    ]


def test_company_and_order_do_not_change_features(encoder: Encoder) -> None:
    some = pictures(5)
    together = encoder.encode(some)
    assert together.shape == (5, grid_of(encoder) ** 2, 80)
    assert together.dtype == np.float16
    assert np.isfinite(together).all()
    alone = encoder.encode([some[3]])
    assert np.array_equal(alone[0], together[3])
    moved = [some[3], *some[:2]]  # another place in another batch
    assert np.array_equal(encoder.encode(moved)[0], together[3])


def test_first_and_last_blocks_are_the_whole_network(encoder: Encoder) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    own = encoder
    assert isinstance(own, EfficientNetLite0)
    plain = EfficientNet.from_name(own.name)
    plain.load_state_dict(torch.load(own._weights, weights_only=True))
    (picture,) = pictures(1)
    with torch.inference_mode():
        features = plain.eval().extract_features(own.prepare(picture)[None])[0].flatten(1).T
        blocks, stored = encoder.last_blocks(), encoder.encode([picture])
        exact = blocks.blocks(square(torch.from_numpy(stored).float()))[0].flatten(1).T
    torch.testing.assert_close(exact, features, rtol=0, atol=1e-2)
    # Half layers move a value by hundredths, where the processor has them.
    assert np.abs(blocks.maps(stored)[0] - exact.numpy()).mean() < 0.06 * exact.mean()


def test_nothing_in_nothing_out(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, grid_of(encoder) ** 2, 80)


def test_positions_are_row_major(encoder: Encoder) -> None:
    canvas = np.full((224, 224, 3), 128, np.uint8)
    canvas[:96, 128:] = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    plain = encoder.encode([Image.new("RGB", (224, 224), (128, 128, 128))])[0].astype(np.float32)
    change = np.abs(encoder.encode([Image.fromarray(canvas)])[0].astype(np.float32) - plain)
    grid = grid_of(encoder)
    heat, part = change.sum(1).reshape(grid, grid), 3 * grid // 7
    # Top right, not bottom left.
    assert heat[:part, -part:].mean() > 1.5 * heat[-part:, :part].mean()


def test_features_of_each_size_are_known_by_their_digest() -> None:
    small, large = make_encoder("efficientnet-lite0-384"), make_encoder("efficientnet-lite0")
    assert small.digest != large.digest
    for own in (small, large):
        found = encoder_with(own.digest)
        assert grid_of(found) == grid_of(own)


def test_digest_is_stable_and_names_are_checked() -> None:
    assert EfficientNetLite0().digest == make_encoder("efficientnet-lite0").digest
    with pytest.raises(ModelError, match=r"vgg.*" + sorted(ENCODERS)[0]):
        make_encoder("vgg")
