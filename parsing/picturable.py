"""What a picture can show, by WordNet's lexicographer files and `data/picturable.txt`."""

from __future__ import annotations

from parsing import lexicon, wordnet
from parsing.graph import Kind
from parsing.senses import Sense

_ENOUGH = 0.15  # the share of uses that makes a sense one that a caption may mean
_HARDLY = 0.1  # the share below which a noun's uses are hardly ever seen
_IDEAS = {
    "noun.attribute", "noun.cognition", "noun.feeling", "noun.motive", "noun.process",
    "noun.quantity", "noun.relation", "noun.state",
}  # fmt: skip
# Acts that are ideas, too: what somebody does there is seen, the sale or the research is not.
_DOINGS = {
    "care.n.01", "commerce.n.01", "duty.n.02", "investigation.n.02", "undertaking.n.01",
    "use.n.01",
}  # fmt: skip
_OFTEN = 0.45  # the share that makes a meaning as likely as all others: "fall", the season
_NOT_PICTURABLE = {
    "noun.attribute", "noun.cognition", "noun.communication", "noun.feeling", "noun.motive",
    "noun.possession", "noun.process", "noun.quantity", "noun.relation", "noun.state", "noun.time",
    "verb.cognition", "verb.emotion",
}  # fmt: skip


@wordnet.remembered
def picturable(surface: str, kind: Kind) -> str | None:
    """None if a picture can show it, else the reason why not."""
    pos = wordnet.POS[kind]
    known, found = _known(surface, pos)
    if not found or pos == "a":
        return None
    if pos == "n" and wordnet.is_name(known):
        return f"a name: {found[0].definition}"
    if _seen(known, pos) >= _ENOUGH:
        return None
    weighed = zip(found, wordnet.shares(known, pos), strict=True)
    blocked = sorted({s.lexname for s, share in weighed if share >= _ENOUGH and not _shows(s)})
    return f"not picturable: {', '.join(blocked) or found[0].lexname}"


def seen_share(surface: str, kind: Kind) -> float | None:
    """The share of its uses that a picture can show; None for attributes, names, unknown words."""
    pos = wordnet.POS[kind]
    known, found = _known(surface, pos)
    if not found or pos == "a" or (pos == "n" and wordnet.is_name(known)):
        return None
    return _seen(known, pos)


def _known(surface: str, pos: str) -> tuple[str, tuple[Sense, ...]]:
    """The surface or, where WordNet lacks a compound, its head: the word that it is judged by."""
    known = surface if wordnet.has(surface, pos) else surface.split(" ")[-1 if pos == "n" else 0]
    return known, wordnet.senses(known, pos)


def _seen(known: str, pos: str) -> float:
    weighed = zip(wordnet.senses(known, pos), wordnet.shares(known, pos), strict=True)
    return sum(share for synset, share in weighed if _shows(synset))


def _shows(synset: Sense) -> bool:
    if synset.lexname not in _NOT_PICTURABLE:
        return True
    return bool(wordnet.above(synset) & frozenset(lexicon.lines("picturable")))


@wordnet.remembered
def is_time(name: str) -> bool:
    """Whether it says when rather than where: "night", "spring"; not "stage" or "festival"."""
    known = name if wordnet.has(name, "n") else name.split(" ")[-1]
    weighed = zip(wordnet.senses(known, "n"), wordnet.shares(known, "n"), strict=True)
    return sum(part for s, part in weighed if s.lexname == "noun.time" and not _shows(s)) > _OFTEN


@wordnet.remembered
def is_idea(name: str) -> bool:
    """Whether it names what no picture shows: "importance", "privilege"; "movie", "day" do not."""
    words = dict.fromkeys((name, name.split(" ")[-1]))  # a "tourist attraction" is a place
    return all(map(_is_idea, words))


def _is_idea(noun: str) -> bool:
    known, found = _known(noun, "n")
    if found and found[0].lexname in _IDEAS:
        return _seen(known, "n") < _HARDLY
    if not found or not _is_doing(found[0]):
        return False
    weighed = zip(found, wordnet.shares(known, "n"), strict=True)
    return sum(share for s, share in weighed if _shows(s) and not _is_doing(s)) < _HARDLY


def _is_doing(sense: Sense) -> bool:
    return sense.lexname == "noun.act" and not _DOINGS.isdisjoint(wordnet.above(sense))
