"""Mends faults the language model makes again and again in captions, before the rules read them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from parsing import (
    mend_lists,
    mend_nouns,
    mend_others,
    mend_participles,
    mend_places,
    mend_qualities,
    mend_verbs,
    wordnet,
)
from parsing.mend_tree import Rule
from parsing.words import Word

_NOUN = (
    mend_nouns.noun_with_a_subject,
    mend_nouns.colour_took_the_verb,
    mend_nouns.name_took_the_verb,
    mend_nouns.verb_read_as_noun,
    mend_verbs.verb_between_nouns,
    mend_verbs.verb_after_its_doers,
    mend_nouns.participle_before_its_noun,
    mend_nouns.participle_read_as_noun,
    mend_nouns.sport_read_as_noun,
    mend_nouns.participle_read_as_object,
    mend_nouns.other_read_as_noun,
    mend_nouns.never_a_noun,
    mend_nouns.quality_read_as_noun,
    mend_nouns.participle_read_as_name,
    mend_lists.partner_read_as_modifier,
    mend_lists.coordinated_with_a_verb,
    mend_lists.coordinated_with_the_wearer,
    mend_lists.listed_with_another,
    mend_lists.listed_after_a_comma,
    mend_places.way_read_as_object,
)
_EXCLAMATION = (mend_others.noun_read_as_exclamation, mend_others.only_a_noun)
RULES: dict[str, tuple[Rule, ...]] = {
    "NOUN": _NOUN,
    "PROPN": _NOUN,
    "VERB": (
        mend_participles.deed_before_a_bare_noun,
        mend_participles.deed_beside_a_thing,
        mend_participles.deed_of_who_is_there,
        mend_participles.deed_over_its_doer,
        mend_participles.deed_after_a_comma,
        mend_participles.state_before_a_bare_noun,
        mend_participles.lined_with_it,
        mend_participles.done_to_the_nearest,
        mend_others.which_is_no_person,
        mend_others.who_is_a_person,
        mend_others.only_a_noun,
        mend_others.side_read_as_verb,
        mend_qualities.only_an_adjective,
        mend_qualities.state_read_as_passive,
        mend_qualities.quality_read_as_order,
        mend_others.noun_after_and,
        mend_others.name_read_as_participle,
        mend_others.participle_after_of,
        mend_qualities.quality_among_adjectives,
        mend_nouns.name_took_the_verb,
        mend_others.verb_with_a_compound,
        mend_others.name_read_as_verb,
        mend_others.noun_read_as_order,
        mend_others.noun_read_as_past,
        mend_others.quality_after_link,
        mend_others.name_read_as_state,
        mend_others.adjective_read_as_verb,
        mend_others.noun_read_as_adjective,
        mend_qualities.covered_with_it,
    ),
    "ADJ": (
        mend_qualities.covered_with_it,
        mend_qualities.quality_after_and,
        mend_others.only_a_noun,
        mend_others.noun_read_as_adjective,
    ),
    "ADV": (mend_qualities.quality_read_as_adverb, mend_others.noun_before_of, *_EXCLAMATION),
    "ADP": (
        mend_places.particle_read_as_place,
        mend_places.with_in_the_background,
        mend_places.with_somebody_doing,
        mend_places.with_his_own,
        mend_places.with_what_he_holds,
        mend_places.in_his_mouth,
        mend_places.past_the_colour,
        mend_places.place_of_the_wearer,
        mend_places.place_of_the_event,
        mend_places.in_clothes,
        mend_places.along_the_way,
        mend_places.with_what_grows_there,
        mend_places.in_front_of_all,
        mend_places.in_the_weather,
        mend_places.looked_at,
    ),
    "INTJ": _EXCLAMATION,
    "X": _EXCLAMATION,
}
"""The rules for each part of speech, in order; a word that changes is mended as what it became."""
Mend = Callable[[Word, list[Word]], None]
Tags = tuple[str, str, str]
"""Part of speech, dependency and tag of a word."""


def mend(words: list[Word]) -> None:
    """Change the words in place; the tree stays a tree."""
    for word in words:
        pos = word.pos
        if pos in RULES:
            _mend_as(pos, word, words)
        if word.pos != pos and word.pos in RULES:
            _mend_as(word.pos, word, words)


def _mend_as(pos: str, word: Word, words: list[Word]) -> None:
    """Apply the rules for a part of speech in order, those that look at what it has become."""
    tags, low = (word.pos, word.dep, word.tag), word.low
    rules, at = _rules_for(pos, tags, low), 0
    while at < len(rules):
        place, rule = rules[at]
        rule(word, words)
        at += 1
        if (now := (word.pos, word.dep, word.tag)) != tags:
            tags, rules = now, _rules_for(pos, now, low)
            at = sum(before <= place for before, _ in rules)


@wordnet.remembered
def _rules_for(start: str, tags: Tags, low: str) -> tuple[tuple[int, Mend], ...]:
    """The rules for `start` that look at such a word, with their places among them."""
    rules = _rules_for_tags(start, tags)
    return tuple((n, r.mend) for n, r in rules if r.of_word is None or r.of_word(low))


@cache
def _rules_for_tags(start: str, tags: Tags) -> tuple[tuple[int, Rule], ...]:
    rules = enumerate(RULES.get(start, ()))
    return tuple((n, rule) for n, rule in rules if rule.tagged_so(*tags))
