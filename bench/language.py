"""Parser and label system against what the planted captions were written to say."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.scenes.vocabulary import load_vocabulary
from storage.lake import Lake

Word = tuple[str, str]
"""Surface and kind; places count as things, as the parser may see them so."""
_MENTIONS = """
    SELECT DISTINCT i.name AS image, m.surface, m.kind, s.tag_id
    FROM current_mentions m JOIN current_images i USING (image_id)
    LEFT JOIN current_label_surfaces s ON s.surface = m.surface AND s.kind = m.kind
    WHERE m.source = 'original' AND i.split = 'train'
"""
_FORMS = "SELECT tag_id, surface, kind FROM current_label_surfaces WHERE tag_id IS NOT NULL"


def score_language(lake: Lake, scenes: Path) -> dict[str, dict[str, float]]:
    """`parse`: of the mentions, the share that were written (precision); of what was written, the
    share that is mentioned (recall). `label`: of the right mentions, the share that has a tag
    (tagged); of those by a synonym, the share with the tag of the thing's own name (merged); of the
    tags that name a thing at all, the share that names one alone (pure).

    `scenes` is the folder of the generator's tables. Each share is 0 to 1.
    """
    said = _said(scenes)
    names = _names()
    mentions = lake.query(_MENTIONS).to_pylist()
    of_image: dict[str, set[Word]] = defaultdict(set)
    right = []
    for row in mentions:
        word = (row["surface"], _folded(row["kind"]))
        meant = names[word] & said.get(row["image"], set())
        of_image[row["image"]] |= meant
        if meant:
            right.append((word, meant, row["tag_id"]))
    # Pictures that cannot be read have no mentions to be found.
    there = set(lake.query("SELECT name FROM current_images").column(0).to_pylist())
    kept = [(image, thing) for image, things in said.items() if image in there for thing in things]
    heard = sum(thing in of_image[image] for image, thing in kept)
    tags: dict[int, set[Word]] = defaultdict(set)
    own: dict[Word, int] = {}
    for form in lake.query(_FORMS).to_pylist():
        word = (form["surface"], _folded(form["kind"]))
        tags[form["tag_id"]].update(names[word])
        own.setdefault(word, form["tag_id"])
    synonyms = [(meant, tag) for word, meant, tag in right if word not in meant]
    same = [any(own.get(thing) == tag for thing in meant) for meant, tag in synonyms]
    naming = [things for things in tags.values() if things]
    return {
        "parse": {"precision": len(right) / len(mentions), "recall": heard / len(kept)},
        "label": {
            "tagged": sum(tag is not None for *_, tag in right) / max(len(right), 1),
            "merged": sum(same) / max(len(same), 1),
            "pure": sum(len(things) == 1 for things in naming) / max(len(naming), 1),
        },
    }


def _folded(kind: str) -> str:
    return "object" if kind == "scene" else kind


def _said(scenes: Path) -> dict[str, set[Word]]:
    """The things that the captions of each training picture were written to name."""
    said: dict[str, set[Word]] = defaultdict(set)
    truth = pq.read_table(scenes / "truth.parquet").to_pylist()
    faults = pq.read_table(scenes / "faults.parquet").to_pylist()
    written = [row for row in truth if row["in_caption"]]
    written += [row for row in faults if row["fault"].startswith("wrong")]
    for row in written:
        if row["split"] == "train":
            said[row["image"]].add((row["name"], _folded(row["kind"])))
    # A picture that was copied is one image, under the name that sorts first: the copy's.
    for row in faults:
        if row["split"] == "train" and row["fault"] == "duplicate":
            said[row["image"]] |= said.pop(row["name"], set())
    return said


def _names() -> dict[Word, set[Word]]:
    """Every word that may name things, with the things."""
    vocabulary = load_vocabulary()
    names: dict[Word, set[Word]] = defaultdict(set)
    for thing in (*vocabulary.objects, *vocabulary.people):
        for word in (thing.name, *thing.synonyms):
            names[word, "object"].add((thing.name, "object"))
    for kind, plain in (("object", vocabulary.scenes), ("action", vocabulary.actions)):
        for entry in plain:
            names[entry.name, kind].add((entry.name, kind))
    for name in vocabulary.names("attribute"):
        names[name, "attribute"].add((name, "attribute"))
    return names
