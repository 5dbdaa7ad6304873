"""Where the labels that somebody asks for stand in a network's own list."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Columns = tuple[tuple[int, ...], ...]
"""Of each name the columns of a network that bear it: none for an open label, several for a name
that a list holds more than once; the highest of them counts."""
DEFAULT_THRESHOLD = 0.5
"""For probabilities that nothing was calibrated for, as the published script's for open labels."""


def columns_of(names: Sequence[str], listed: Sequence[str]) -> Columns:
    """The columns of `names` in a network's own list."""
    return places_of([name.lower() for name in names], [name.lower() for name in listed])


def places_of(asked: Sequence[Hashable], listed: Sequence[Hashable]) -> Columns:
    """Where each of `asked` stands in a list."""
    places: dict[Hashable, list[int]] = {}
    for place, one in enumerate(listed):
        places.setdefault(one, []).append(place)
    return tuple(tuple(places.get(one, ())) for one in asked)


def cuts_of(
    own: Iterable[float] | None, columns: Columns, of_several: Callable[[Iterable[float]], float]
) -> Floats | None:
    """Thresholds (L,) from a network's own (K,), where it has any; open labels get the default."""
    if own is None:
        return None
    cuts = list(own)
    found = [
        of_several(cuts[place] for place in several) if several else DEFAULT_THRESHOLD
        for several in columns
    ]
    return np.array(found, np.float32)


def gathered(own: Floats | None, columns: Columns, opened: Floats | None) -> Floats:
    """Scores (N, L) from a network's own (N, K) and those of the open labels (N, M), in order.

    Either may be None where no name needs it.
    """
    rest = iter(() if opened is None else opened.T)
    scores = [
        own[:, several].max(axis=1) if own is not None and several else next(rest)
        for several in columns
    ]
    return np.stack(scores, axis=1)
