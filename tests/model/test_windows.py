"""Windows: plain means over squares of positions, the same in any company."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.windows import SIDES, all_windows, batches, windows_of


@pytest.mark.parametrize(("grid", "step"), [(7, 1), (14, 2)])
def test_windows_are_means_over_squares(grid: int, step: int) -> None:
    maps = torch.rand(2, grid * grid, 3)
    square = maps.reshape(2, grid, grid, 3)
    expected = []
    for side in (grid * s // 7 for s in SIDES):
        places = range(0, grid - side + 1, step)
        expected += [
            square[:, y : y + side, x : x + side].mean(dim=(1, 2)) for y in places for x in places
        ]
    torch.testing.assert_close(windows_of(maps), torch.stack(expected, dim=1))


@pytest.mark.parametrize("grid", [4, 7, 11, 12, 13, 14, 16, 24, 28])
def test_windows_of_every_size_reach_all_edges(grid: int) -> None:
    """Each position alone in a map of its own: it must show in some window of each of the sizes."""
    windows = windows_of(torch.eye(grid * grid)[:, :, None])[..., 0]
    sizes = (1 / windows.amax(dim=0)).round()
    assert len(sizes.unique()) in (2, 3)
    for size in sizes.unique():
        assert (windows[:, sizes == size].amax(dim=1) > 0).all()


def test_a_small_map_is_its_own_windows() -> None:
    maps = torch.rand(3, 9, 5)
    assert torch.equal(windows_of(maps), maps)


def test_cuts_and_precision() -> None:
    maps = np.random.default_rng(0).random((20, 196, 4)).astype(np.float16)
    assert [len(part) for part in batches(maps)] == [16, 4]
    together = all_windows(maps)
    assert together.shape == (20, 77, 4)
    assert together.dtype == np.float16
    assert np.array_equal(all_windows(maps[17:]), together[17:])
    assert all_windows(maps[:0]).shape[0] == 0
