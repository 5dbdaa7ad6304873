"""Arrays for training and scoring, from rows of the lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.columns import Floats, Halves, array_of
from pipeline.errors import PlanError

Ints = npt.NDArray[np.int64]

TRAIN_FEATURES = """
    SELECT f.image_id, i.fold_key, f.positions, f.channels, f.map
    FROM current_features f JOIN current_images i USING (image_id)
    WHERE i.split = 'train' ORDER BY f.image_id
"""
EVAL_FEATURES = TRAIN_FEATURES.replace("'train'", "'eval'")
LABELS = "SELECT label_version, tag_id, name, kind FROM current_labels ORDER BY tag_id"
# What `candidate_tags` has `in_caption`, without reading the scores of all images for it.
SAID = """
    SELECT DISTINCT m.image_id, s.tag_id, i.split, i.shard_id
    FROM current_mentions m
    JOIN current_label_surfaces s ON s.surface = m.surface AND s.kind = m.kind
    JOIN current_images i ON i.image_id = m.image_id
    WHERE m.source = 'original' AND s.tag_id IS NOT NULL
"""
CAPTION_TAGS = f"SELECT image_id, tag_id FROM ({SAID}) WHERE split = 'train'"
LABEL_TABLES = ("labels", "label_surfaces", "label_merges", "label_akin")
"""What decides which tags captions have, and which they leave open."""
# A caption that says "guy" is no example of a picture without a man.
UNSETTLED = f"""
    SELECT DISTINCT c.image_id, a.akin_id AS tag_id
    FROM ({CAPTION_TAGS}) c JOIN akin_tags a ON a.tag_id = c.tag_id
"""


@dataclass(frozen=True)
class Images:
    """Feature maps of some images.

    `features` is (N, P, D) float16; `fold_keys` is (N,): near-duplicates share a key.
    """

    ids: list[str]
    fold_keys: Ints
    features: Halves

    def folds(self, count: int) -> Ints:
        """The fold of each image, (N,)."""
        return self.fold_keys % count

    def only(self, chosen: npt.NDArray[np.bool_]) -> Images:
        """The images where `chosen` (N,) is true."""
        rows = np.flatnonzero(chosen)
        return Images([self.ids[r] for r in rows], self.fold_keys[rows], self.features[rows])

    def rows_of(self, image_ids: pa.ChunkedArray | pa.Array) -> Ints:
        """The row of each image id; -1 where it is not among these images."""
        place = {image_id: row for row, image_id in enumerate(self.ids)}
        return np.array([place.get(i, -1) for i in image_ids.to_pylist()], dtype=np.int64)


@dataclass(frozen=True)
class Vocabulary:
    """The tags that a model knows, in the order of its label queries."""

    version: str
    tag_ids: tuple[int, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tag_ids)

    def columns_of(self, tag_ids: pa.ChunkedArray | pa.Array) -> Ints:
        """The column of each tag ID; -1 where the model does not know it."""
        place = {tag_id: column for column, tag_id in enumerate(self.tag_ids)}
        return np.array([place.get(t, -1) for t in tag_ids.to_pylist()], dtype=np.int64)

    def subset(self, keep: npt.NDArray[np.bool_]) -> Vocabulary:
        """The tags where `keep` (L,) is true."""
        rows = np.flatnonzero(keep)
        return Vocabulary(
            self.version,
            tuple(self.tag_ids[r] for r in rows),
            tuple(self.names[r] for r in rows),
            tuple(self.kinds[r] for r in rows),
        )


def images_of(table: pa.Table) -> Images:
    """Images from rows of image_id, fold_key, positions, channels, map.

    Raises:
        PlanError: encoding anew was interrupted, so that maps of two encoders are there.
    """
    if not table.num_rows:
        return Images([], np.zeros(0, np.int64), np.zeros((0, 1, 1), np.float16))
    shapes = table.select(["positions", "channels"]).group_by(["positions", "channels"])
    (shape, *others) = [tuple(row.values()) for row in shapes.aggregate([]).to_pylist()]
    if others:
        raise PlanError(
            f"features of several encoders ({shape[0]} and {others[0][0]} positions): encoding was "
            "interrupted; finish it by `tagwright run`"
        )
    return Images(
        table.column("image_id").to_pylist(),
        table.column("fold_key").to_numpy(),
        array_of(table.column("map"), shape),
    )


def without_features(image_ids: list[str]) -> Images:
    """Images of which only the pictures are looked at."""
    count = len(image_ids)
    return Images(image_ids, np.zeros(count, np.int64), np.zeros((count, 0, 0), np.float16))


def todays_ids(vocabulary: Vocabulary, query: Callable[..., pa.Table]) -> list[int]:
    """What the tags of a model are in the label system in use; -1 where they are none."""
    asked = "SELECT made_as, tag_id FROM tag_ids WHERE label_version = $version"
    found = query(asked, {"version": vocabulary.version}).to_pydict()
    now = dict(zip(found["made_as"], found["tag_id"], strict=True))
    return [now.get(tag_id, -1) for tag_id in vocabulary.tag_ids]


def vocabulary_of(table: pa.Table) -> Vocabulary:
    """The vocabulary from rows of `LABELS`."""
    rows = table.to_pydict()
    version = rows["label_version"][0] if table.num_rows else "none"
    return Vocabulary(version, tuple(rows["tag_id"]), tuple(rows["name"]), tuple(rows["kind"]))


def multi_hot(
    images: Images, vocabulary: Vocabulary, tags: pa.Table, values: pa.ChunkedArray | None = None
) -> Floats:
    """Targets (N, L): 1, or a pair's own value, where an image has a tag; 0 elsewhere.

    Pairs outside images or vocabulary are left out.
    """
    rows = images.rows_of(tags.column("image_id"))
    columns = vocabulary.columns_of(tags.column("tag_id"))
    inside = (rows >= 0) & (columns >= 0)
    targets = np.zeros((len(images.ids), len(vocabulary)), np.float32)
    targets[rows[inside], columns[inside]] = 1.0 if values is None else values.to_numpy()[inside]
    return targets


def learnable(targets: Floats, min_images: int) -> npt.NDArray[np.bool_]:
    """Which tags (L,) have enough images to be learned."""
    enough: npt.NDArray[np.bool_] = targets.sum(axis=0) >= min_images
    return enough


def tags_of_row(targets: Floats) -> list[list[int]]:
    """The columns that are set in each row."""
    return [np.flatnonzero(row).tolist() for row in targets]


def columns_by_row(rows: Ints, columns: Ints, count: int) -> list[list[int]]:
    """Columns grouped by row, in order; pairs with a negative index are left out."""
    grouped: list[list[int]] = [[] for _ in range(count)]
    for row, column in sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))):
        if row >= 0 and column >= 0:
            grouped[row].append(column)
    return grouped


def captions_by_image(captions: pa.Table, images: Images) -> tuple[Ints, list[str]]:
    """The image row of each caption and its text; captions of other images are left out."""
    rows = images.rows_of(captions.column("image_id"))
    texts: Sequence[str] = captions.column("text").to_pylist()
    kept = [(row, text) for row, text in zip(rows.tolist(), texts, strict=True) if row >= 0]
    return np.array([row for row, _ in kept], dtype=np.int64), [text for _, text in kept]
