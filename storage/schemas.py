"""Every table of the lake: columns, keys, and which columns are content.

Content columns are those that the same input, config and seed must give again, whatever the number
of workers, the order of work or an interruption; times, durations, run ids and paths are not
content. `work_id` names the ledger row that a row was committed with; it is derived from the stage,
the unit and the fingerprint alone and is therefore content too.

Tables are append-only. A row is *current* when the ledger's newest row for its stage and unit
carries its `work_id`; `current_<table>` views select those.
"""

from __future__ import annotations

import pyarrow as pa

from storage.table import Table, list_of, table

CATALOG_VERSION = 12
"""Raised whenever a table or view changes; a lake with a higher number is refused, one with a lower
number gets what it lacks when it is opened."""

STR, F32, I32, I64 = pa.string(), pa.float32(), pa.int32(), pa.int64()
TIME = pa.timestamp("us")  # UTC

BOX = {"x1": F32, "y1": F32, "x2": F32, "y2": F32}

_ALL = (
    table(
        "images",
        "one row per distinct picture; the picture itself stays where it is",
        ("image_id",),
        ("uri",),
        image_id=STR,  # sha256 of the file's bytes
        uri=STR,  # path, or path#offset,length inside a tar, or lake:PATH inside the lake
        name=STR,  # the name the source gave it
        width=I32,
        height=I32,
        format=STR,
        bytes=I64,
        split=STR,  # train | eval
        fold_key=I64,  # from a perceptual hash: near-duplicates share it
        shard_id=STR,
    ),
    table(
        "captions",
        "human captions (source 'original') and the captioner's own ('generated')",
        ("caption_id",),
        caption_id=STR,
        image_id=STR,
        text=STR,
        source=STR,
        model_digest=STR,
        shard_id=STR,
    ),
    table(
        "truth",
        "what a person or the scene generator knows to be in a picture; only evaluation reads it",
        ("image_id", "name", "kind"),
        image_id=STR,
        name=STR,
        synonyms=pa.list_(STR),  # other names that are as right
        kind=STR,
        **BOX,
        shard_id=STR,
    ),
    table(
        "unclear",
        "names that are neither right nor wrong of a picture whose truth is known: no figure is "
        "drawn from tags that have them",
        ("image_id", "name", "kind"),
        image_id=STR,
        name=STR,
        kind=STR,
        shard_id=STR,
    ),
    table(
        "scene_graphs",
        "what the parser read in a caption; spans are characters of the caption",
        ("caption_id",),
        caption_id=STR,
        image_id=STR,
        source=STR,
        objects=list_of(name=STR, start=I32, end=I32, kind=STR),
        attributes=list_of(name=STR, object=STR, start=I32, end=I32),
        actions=list_of(name=STR, subject=STR, object=STR, start=I32, end=I32),
        relations=list_of(name=STR, subject=STR, object=STR, start=I32, end=I32),
        note=STR,
        shard_id=STR,
    ),
    table(
        "mentions",
        "one row per thing a caption names, in lemma form",
        ("caption_id", "surface", "kind", "start"),
        caption_id=STR,
        image_id=STR,
        source=STR,
        surface=STR,
        kind=STR,
        start=I32,
        end=I32,
        shard_id=STR,
    ),
    table(
        "labels",
        "the tag IDs of a label system version",
        ("label_version", "tag_id"),
        label_version=STR,
        tag_id=I32,
        name=STR,
        kind=STR,
        mentions=I64,
    ),
    table(
        "label_surfaces",
        "every surface form that was considered: its tag ID, or why it has none",
        ("label_version", "surface", "kind"),
        label_version=STR,
        surface=STR,
        kind=STR,
        tag_id=I32,
        state=STR,
        reason=STR,
        mentions=I64,
    ),
    table(
        "label_merges",
        "every merge of two surface forms with its evidence; 'needs-review' ones are not applied",
        ("label_version", "surface", "into_surface", "tag_id"),
        label_version=STR,
        tag_id=I32,
        surface=STR,
        into_surface=STR,
        evidence=STR,
        score=F32,
        state=STR,
    ),
    table(
        "label_parents",
        "which tag is a kind of which: the nearest more general tags",
        ("label_version", "tag_id", "parent_id"),
        label_version=STR,
        tag_id=I32,
        parent_id=I32,
    ),
    table(
        "label_akin",
        "which tag may be a kind of which, by any likely sense of both names",
        ("label_version", "tag_id", "general_id"),
        label_version=STR,
        tag_id=I32,
        general_id=I32,
    ),
    table(
        "label_thresholds",
        "scores from which the model of a published list gives its tags, kept with the list",
        ("label_version", "tag_id"),
        label_version=STR,
        tag_id=I32,
        threshold=pa.float64(),  # as published; the lake's own models have `thresholds`
    ),
    table(
        "features",
        "the frozen encoder's feature map of an image, float16, positions x channels",
        ("image_id",),
        image_id=STR,
        encoder=STR,
        positions=I32,
        channels=I32,
        map=pa.binary(),
        shard_id=STR,
    ),
    table(
        "models",
        "trained models; role: first, refined, fold, baseline, captioner, retrained or fine-tuned",
        ("model_digest",),
        ("path", "snapshot_id"),
        model_digest=STR,
        role=STR,
        cycle=I32,
        fold=I32,  # the fold the model has not seen; -1 when it has seen all
        path=STR,
        label_version=STR,
        encoder=STR,
        parent=STR,
        snapshot_id=I64,
        config=STR,
        seed=I64,
        look=F32,  # weight of a tagger's look at regions in its logits
    ),
    table(
        "tag_scores",
        "raw scores of the model that has not seen the image's fold",
        ("image_id", "tag_id"),
        image_id=STR,
        label_version=STR,
        tag_id=I32,
        fold=I32,
        model_digest=STR,
        score=F32,
        shard_id=STR,
    ),
    table(
        "thresholds",
        "per tag and fold: scores that give the tag alone, or with a caption, forbid to deny it, "
        "or from which a tagger gives it to pictures",
        ("label_version", "fold", "tag_id"),
        label_version=STR,
        fold=I32,
        tag_id=I32,
        generate=F32,
        support=F32,
        doubt=F32,
        tag=F32,
        positives=I32,
        midpoint=F32,
        slope=F32,
        certain=F32,
        noise=F32,
        said=F32,
    ),
    table(
        "regions",
        "where the detector sees an image's own candidate tags; boxes in pixels of the image",
        ("region_id",),
        region_id=STR,
        image_id=STR,
        label_version=STR,
        tag_id=I32,
        **BOX,
        score=F32,  # the detector's
        detector=STR,
        prompt=STR,  # what a detector that reads text was asked with
        fold=I32,
        tag_score=F32,  # the tagger's for this tag when it sees only the region
        other_tag_id=I32,  # the tag of the same kind the tagger sees most in the region
        other_score=F32,
        shard_id=STR,
    ),
    table(
        "region_features",
        "the encoder's features pooled over a region, float16",
        ("region_id",),
        region_id=STR,
        image_id=STR,
        tag_id=I32,
        feature=pa.binary(),
        shard_id=STR,
    ),
    table(
        "verdicts",
        "one row per image, tag and rule: keep or drop, with score, threshold and reason",
        ("image_id", "tag_id", "rule"),
        image_id=STR,
        label_version=STR,
        tag_id=I32,
        rule=STR,
        verdict=STR,
        score=F32,
        threshold=F32,
        reason=STR,
        region_id=STR,
    ),
    table(
        "answers",
        "whether sampled tags are right, by a person or planted truth; the certificate reads them",
        ("image_id", "tag_id"),
        image_id=STR,
        label_version=STR,
        tag_id=I32,
        stratum=STR,  # when it was drawn; the certificate asks `tag_strata` what it is now
        weight=pa.float64(),  # pairs that it stands for: 1 / its chance of being drawn
        answer=STR,  # yes | no
        source=STR,  # person | truth
    ),
    table(
        "publications",
        "snapshots that training may read; in = kept + dropped + rejected was checked for each",
        ("publication_id",),
        ("snapshot_id", "published_at"),
        publication_id=STR,
        cycle=I32,
        snapshot_id=I64,
        label_version=STR,
        images=I64,
        tags=I64,
        evidence=I64,
        dropped=I64,
        published_at=TIME,
    ),
    table(
        "metrics",
        "figures of evaluations; tag_id is null for figures over all tags",
        ("subject", "split", "name", "kind", "tag_id"),
        subject=STR,  # a model digest, or the name of a tag set
        role=STR,
        split=STR,
        name=STR,
        kind=STR,
        tag_id=I32,
        value=pa.float64(),
        support=I64,
    ),
    table(
        "promotions",
        "which model and publication go into service; `current_promotions` holds what is there",
        ("decided_at",),
        ("decided_at",),
        model_digest=STR,
        publication_id=STR,
        label_version=STR,
        decision=STR,
        reason=STR,
        decided_at=TIME,
    ),
    table(
        "rejects",
        "what could not be used, with the reason",
        ("stage", "item"),
        ("uri",),
        stage=STR,
        item=STR,
        uri=STR,
        image_id=STR,
        reason=STR,
        detail=STR,
        shard_id=STR,
    ),
)

LEDGER = Table(
    "ledger",
    "what was done: one row per stage, unit and fingerprint, committed with its rows",
    pa.schema(
        [
            pa.field("work_id", STR),
            pa.field("stage", STR),
            pa.field("unit", STR),
            pa.field("unit_digest", STR),
            pa.field("fingerprint", STR),
            pa.field("artifact", STR),  # digest of what a corpus stage made; null for shards
            pa.field("n_in", I64),
            pa.field("n_kept", I64),
            pa.field("n_dropped", I64),
            pa.field("n_rejected", I64),
            pa.field("seq", I64),
            pa.field("run_id", STR),
            pa.field("seconds", pa.float64()),
            pa.field("committed_at", TIME),
        ]
    ),
    ("work_id",),
    ("seq", "run_id", "seconds", "committed_at"),
)

RUNS = Table(
    "runs",
    "every run: when, with which config, how it ended (newest row per run_id counts)",
    pa.schema(
        [
            pa.field("run_id", STR),
            pa.field("command", STR),
            pa.field("state", STR),
            pa.field("detail", STR),
            pa.field("cycle", I32),
            pa.field("version", STR),
            pa.field("config", STR),
            pa.field("recorded_at", TIME),
        ]
    ),
    ("run_id", "state"),
    ("run_id", "recorded_at"),
)

TABLES: dict[str, Table] = {each.name: each for each in (*_ALL, LEDGER, RUNS)}
DERIVED: tuple[str, ...] = tuple(each.name for each in _ALL)
"""Tables whose rows belong to a unit of work and have a `current_` view."""
