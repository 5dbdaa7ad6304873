"""Half precision: where the processor computes in it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import model.products as products
from model.captioner import Captioner, pad_tags
from model.last_blocks import LastBlocks
from model.products import half_layers
from tests.model.helpers import queries

Kinds = dict[str, torch.dtype]


@pytest.fixture(params=[True, False], ids=["bfloat16", "float32"])
def half(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """A processor that multiplies bfloat16, and one that does not."""
    found = {"avx512_bf16": request.param, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    products._multiplies_bfloat16.cache_clear()
    yield request.param
    products._multiplies_bfloat16.cache_clear()


def kinds_within(model: torch.nn.Module) -> Kinds:
    """What the linear layers and convolutions of a model give from now on."""
    kinds: Kinds = {}
    for name, part in model.named_modules():
        if isinstance(part, torch.nn.Linear | torch.nn.Conv2d):
            part.register_forward_hook(
                lambda _part, _inputs, output, name=name: kinds.update({name: output.dtype})
            )
    return kinds


def test_layers_compute_in_half_and_weights_stay_whole(half: bool) -> None:
    layer, inputs = torch.nn.Linear(4, 3), torch.randn(2, 4)
    with half_layers():
        output = layer(inputs)
    assert output.dtype == (torch.bfloat16 if half else torch.float32)
    output.float().square().sum().backward()
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(output.float(), layer(inputs), rtol=0.02, atol=0.02)


def test_blocks_compute_in_half_and_give_whole_numbers(half: bool) -> None:
    blocks = LastBlocks([torch.nn.Conv2d(4, 5, 1), torch.nn.ReLU(), torch.nn.Conv2d(5, 6, 1)])
    kinds = kinds_within(blocks)
    assert blocks(torch.randn(2, 9, 4)).dtype == torch.float32
    expected = torch.bfloat16 if half else torch.float32
    assert kinds == {"blocks.0": expected, "blocks.2": expected}


def test_a_captioner_computes_in_half_but_for_its_logits(half: bool) -> None:
    torch.manual_seed(0)
    pieces = ("[PAD]", "[DEC]", "[SEP]", "a", "dog")
    captioner = Captioner(4, torch.from_numpy(queries(3)), pieces, 8, 1, 2, 0.0, 10)
    kinds = kinds_within(captioner)
    memory = captioner.memory(torch.randn(2, 9, 4), pad_tags([[0], [1, 2]]))
    logits = captioner(*memory, torch.tensor([[1, 3], [1, 4]]))
    expected = torch.bfloat16 if half else torch.float32
    assert set(kinds.values()) == {expected} and "image_proj" in kinds
    assert logits.dtype == torch.float32
    # Numbers that bfloat16 has not: their last half is not nothing.
    assert not torch.equal(logits, logits.bfloat16().float())
