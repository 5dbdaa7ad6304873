"""Changes to a label system by hand: each returns a new system, the old one stays as it was.

A tag's ID is never given to another: new tags get `first_free`, merged ones retire with theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from parsing import wordnet
from parsing.errors import ParsingError
from parsing.graph import Kind
from parsing.keys import PART
from parsing.labels import APPLIED, DROPPED_BY_HAND, Label, LabelSystem, Merge, Surface


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions of a label system."""

    what: str
    surface: str
    kind: Kind
    before: str
    after: str


def find(system: LabelSystem, surface: str, kind: Kind | None = None) -> Surface:
    """The surface form that has a tag; where none is of that kind, one of its part of speech.

    Raises:
        ParsingError: no tag has it, or tags of several kinds have it.
    """
    name = surface.strip().lower()
    known = [s for s in system.surfaces if s.surface == name]
    asked = [s for s in known if kind is None or PART[s.kind] == PART[kind]]
    found = [s for s in asked if s.tag_id is not None]
    found = [s for s in found if s.kind == kind] or found
    if not found:
        others = ", ".join(s.kind for s in known if s.tag_id is not None)
        if others and not asked:
            raise ParsingError(f"No tag has the surface form {name!r} as {kind}, but as {others}.")
        if known:
            reason = (asked or known)[0].reason
            raise ParsingError(f"{name!r} is known, but has no tag: {reason}.")
        raise ParsingError(f"No tag has the surface form {name!r}.{system.near(name)}")
    if len({s.tag_id for s in found}) > 1:
        kinds = ", ".join(sorted(s.kind for s in found))
        raise ParsingError(
            f"{name!r} is a surface form of several tags: say --kind, one of {kinds}."
        )
    return found[0]


def merge(system: LabelSystem, into: str, other: str, kind: Kind | None = None) -> LabelSystem:
    """The tag of `other` and all its surface forms become part of the tag of `into`.

    Raises:
        ParsingError: an unknown surface form, the same tag, or different parts of speech.
    """
    target, source = find(system, into, kind), find(system, other, kind)
    if target.tag_id == source.tag_id:
        raise ParsingError(f"{into!r} and {other!r} are the same tag already: {target.tag_id}.")
    if PART[target.kind] != PART[source.kind]:
        raise ParsingError(f"{into!r} is a {target.kind}, {other!r} a {source.kind}: kept apart.")
    names = {label.tag_id: label.name for label in system.labels}
    surfaces = [
        replace(s, tag_id=target.tag_id) if s.tag_id == source.tag_id else s
        for s in system.surfaces
    ]
    assert target.tag_id is not None and source.tag_id is not None
    made = Merge(
        target.tag_id, names[source.tag_id], names[target.tag_id], "by hand", 1.0, "confirmed"
    )
    ids, ends = {target.tag_id, source.tag_id}, {made.surface, made.into}
    merges = [
        replace(m, tag_id=target.tag_id) if m.tag_id == source.tag_id else m
        for m in system.merges
        # Tags of another part of speech may have the same two names.
        if m.tag_id not in ids or {m.surface, m.into} != ends
    ]
    labels = [label for label in system.labels if label.tag_id != source.tag_id]
    return _rebuilt(system, labels, surfaces, [*merges, made])


def split(system: LabelSystem, surface: str, kind: Kind | None = None) -> LabelSystem:
    """The surface form gets a tag of its own; said of a tag's name, all its other forms do.

    What was merged into the form goes with it. The merges that are undone stay as `rejected`, so
    that no build makes them again.

    Raises:
        ParsingError: an unknown surface form, or one that is alone already.
    """
    found = find(system, surface, kind)
    (label,) = [x for x in system.labels if x.tag_id == found.tag_id]
    ours = [s for s in system.surfaces if s.tag_id == found.tag_id and s.surface != label.name]
    if not ours:
        raise ParsingError(f"{surface!r} is the only surface form of tag {label.tag_id}.")
    leaving = {s.surface: {s.surface} for s in ours}
    if found.surface != label.name:
        leaving = {found.surface: _led_to(system, label, found.surface)}
    ids = {name: system.first_free + place for place, name in enumerate(sorted(leaving))}
    to = {form: ids[name] for name, forms in leaving.items() for form in forms}
    # The kind that the tag had, unless the form is never said in it.
    kinds = {s.surface: s.kind for s in sorted(ours, key=lambda s: s.kind == label.kind)}
    fresh = [Label(ids[name], name, kinds[name], 0) for name in sorted(leaving)]
    surfaces = [
        replace(s, tag_id=to.get(s.surface, s.tag_id)) if s.tag_id == label.tag_id else s
        for s in system.surfaces
    ]

    def undone(m: Merge) -> Merge:
        one, other = (to.get(end, label.tag_id) for end in (m.surface, m.into))
        if m.tag_id != label.tag_id or one == other == label.tag_id:
            return m
        if one == other:
            return replace(m, tag_id=one)
        return m if m.state == "needs-review" else replace(m, state="rejected")

    merges = [undone(m) for m in system.merges]
    return _rebuilt(system, [*system.labels, *fresh], surfaces, merges)


def _led_to(system: LabelSystem, label: Label, surface: str) -> set[str]:
    """A form of a tag, and those of which applied merges lead to it."""
    found = {surface}
    made = [m for m in system.merges if m.tag_id == label.tag_id and m.state in APPLIED]
    while more := {m.surface for m in made if m.into in found} - {*found, label.name}:
        found |= more
    return found


def add(
    system: LabelSystem, name: str, kind: Kind | None = None, surfaces: Sequence[str] = ()
) -> LabelSystem:
    """A new tag with its surface forms; forms that were dropped are taken up.

    Raises:
        ParsingError: a form belongs to a tag already.
    """
    name = name.strip().lower()
    kind = kind or wordnet.likely_kind(name)
    forms = list(dict.fromkeys([name, *(s.strip().lower() for s in surfaces)]))
    taken = {(s.surface, PART[s.kind]): s.tag_id for s in system.surfaces if s.tag_id is not None}
    for form in forms:
        if not form:
            raise ParsingError("A tag needs a name: the empty text is none.")
        if not form.isprintable():
            raise ParsingError(f"{form!r} has characters that are none to read, such as line ends.")
        if (of := taken.get((form, PART[kind]))) is not None:
            raise ParsingError(f"{form!r} belongs to tag {of} already: merge or split that.")
    number = system.first_free
    fresh = {(form, kind): Surface(form, kind, number, "kept", None, 0) for form in forms}
    kept = []
    for s in system.surfaces:
        if s.surface in forms and PART[s.kind] == PART[kind]:  # said as an object and as a scene
            fresh[s.surface, s.kind] = replace(s, tag_id=number, state="kept", reason=None)
        else:
            kept.append(s)
    merges = [Merge(number, form, name, "by hand", 1.0, "confirmed") for form in forms[1:]]
    label = Label(number, name, kind, 0)
    rows = [*kept, *fresh.values()]
    return _rebuilt(system, [*system.labels, label], rows, [*system.merges, *merges])


def drop(system: LabelSystem, surface: str, kind: Kind | None = None) -> LabelSystem:
    """The surface form means no tag from now on; said of a tag's name, the tag retires.

    No build takes up what was dropped by hand; `add` does.

    Raises:
        ParsingError: an unknown surface form, or the last tag.
    """
    found = find(system, surface, kind)
    (label,) = [x for x in system.labels if x.tag_id == found.tag_id]
    whole = found.surface == label.name
    if whole and len(system.labels) == 1:
        raise ParsingError(f"{surface!r} is the last tag: a label system needs at least one.")

    def goes(s: Surface) -> bool:
        return s.tag_id == label.tag_id and (whole or s.surface == found.surface)

    surfaces = [
        replace(s, tag_id=None, state="dropped", reason=DROPPED_BY_HAND) if goes(s) else s
        for s in system.surfaces
    ]
    merges = [
        m for m in system.merges
        if m.tag_id != label.tag_id or not (whole or found.surface in (m.surface, m.into))
    ]  # fmt: skip
    labels = [x for x in system.labels if not whole or x.tag_id != label.tag_id]
    return _rebuilt(system, labels, surfaces, merges)


def diff(old: LabelSystem, new: LabelSystem) -> list[Change]:
    """What became of every surface form and tag, in alphabetical order."""
    before, after = _by_form(old), _by_form(new)
    changes = []
    for form in sorted(before.keys() | after.keys()):
        a, b = before.get(form, "-"), after.get(form, "-")
        if a != b:
            what = "added" if a == "-" else "dropped" if b == "-" else "moved"
            changes.append(Change(what, *form, a, b))
    ours, theirs = ({x.tag_id: x for x in system.labels} for system in (old, new))
    for tag_id in sorted(ours.keys() & theirs.keys()):
        a_label, b_label = ours[tag_id], theirs[tag_id]
        for what in ("name", "kind"):
            was, now = getattr(a_label, what), getattr(b_label, what)
            if was != now:
                changes.append(Change(what, b_label.name, b_label.kind, str(was), str(now)))
        was, now = (dict(system.thresholds).get(tag_id, "-") for system in (old, new))
        if was != now:
            changes.append(Change("threshold", b_label.name, b_label.kind, str(was), str(now)))
    return changes


def _by_form(system: LabelSystem) -> dict[tuple[str, Kind], str]:
    names = {label.tag_id: label.name for label in system.labels}
    return {
        (s.surface, s.kind): f"{s.tag_id} {names[s.tag_id]}"
        for s in system.surfaces
        if s.tag_id is not None
    }


def _rebuilt(
    system: LabelSystem, labels: Iterable[Label], surfaces: Iterable[Surface],
    merges: Iterable[Merge],
) -> LabelSystem:  # fmt: skip
    """In canonical order, with mentions summed over the surface forms."""
    rows = sorted(surfaces, key=lambda s: (s.surface, s.kind))
    total: dict[int, int] = {}
    for s in rows:
        if s.tag_id is not None:
            total[s.tag_id] = total.get(s.tag_id, 0) + s.mentions
    counted = sorted(
        (replace(x, mentions=total.get(x.tag_id, 0)) for x in labels), key=lambda x: x.tag_id
    )
    free = max(system.first_free, max((x.tag_id for x in counted), default=-1) + 1)
    ordered = sorted(merges, key=lambda m: (m.surface, m.into, m.tag_id))
    ids = {x.tag_id for x in counted}
    cuts = tuple((tag_id, cut) for tag_id, cut in system.thresholds if tag_id in ids)
    return LabelSystem(tuple(counted), tuple(rows), tuple(ordered), free, cuts)
