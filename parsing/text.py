"""Caption text made readable for the language model, each character traced to the original."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from parsing import describing, lexicon, wordnet

MAX_CHARACTERS = 2000
# Also of an ampersand that was encoded itself, once or more: "&amp;quot;".
_ENTITY = re.compile(r"&(?:amp;){0,4}(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
# As it is, or with its brackets encoded.
_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,80}>|&lt;/?[A-Za-z](?:(?!&[lg]t;)[^<>]){0,80}&gt;")
_URL = re.compile(r"(?:https?://|www\.)\S+")
# Most captions need nothing done: single spaces between printable ASCII, no markup, no address.
_PLAIN = re.compile(r"(?!.*(?: - |https?://|www\.))[!\"$%'-;=?-_a-~]+(?: [!\"$%'-;=?-_a-~]+)*")
# Corpora set spaces around hyphens, and around dashes: "close - up", "a story - this house".
_SPACED_HYPHEN = r"(?<=\w) - (?=\w)"
_GLUING = {"all", "co", "high", "long", "low", "mid", "multi", "non", "self", "semi", "t", "well"}
_GLUED = {"free", "friendly", "like", "looking", "made", "proof", "shaped", "style", "winning"}
_PARTICLES = {"away", "back", "down", "in", "off", "on", "out", "through", "together", "up"}
_ARTICLES = {"", "a", "an", "the", "his", "her", "its", "their"}
_ENDING, _SHORT = 4, 40  # words, characters
_QUOTES = {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-"}
# Placeholders that web corpora put where a name stood.
_PLACEHOLDERS = {"<person>": "person"}
# "#" (mark) is a number's placeholder or the sign of a hashtag, whose word counts.
_PIECES = re.compile(
    f"(?P<mark>#+)|(?P<hyphen>{_SPACED_HYPHEN})|(?P<markup>{_MARKUP.pattern})"
    f"|(?P<url>{_URL.pattern})|{_ENTITY.pattern}"
)


@dataclass(frozen=True, slots=True)
class CleanText:
    """Readable text; character i came from the original's starts[i]:ends[i]."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's span for a non-empty span of the readable text."""
        return self.starts[start], self.ends[end - 1]


def clean(caption: str) -> CleanText:
    """Entities decoded, markup and addresses out, white space single, capitals calmed."""
    if _PLAIN.fullmatch(caption):
        size = len(caption)
        return CleanText(_calm(caption), range(size), range(1, size + 1))
    characters: list[tuple[str, int, int]] = []
    last = 0
    for piece in _PIECES.finditer(caption):
        characters += [(c, i, i + 1) for i, c in enumerate(caption[last : piece.start()], last)]
        spelled = _spelled(piece)
        characters += [(c, piece.start(), piece.end()) for c in spelled]
        last = piece.end()
    characters += [(c, i, i + 1) for i, c in enumerate(caption[last:], last)]
    return _joined(characters)


def _spelled(piece: re.Match[str]) -> str:
    if piece["hyphen"]:
        if _of_the_picture(piece.string[piece.end() :]):
            return " . "
        return "-" if _one_word(piece.string, piece.start(), piece.end()) else " - "
    if piece["markup"]:
        return f" {_PLACEHOLDERS.get(html.unescape(piece['markup']).lower(), '')} "
    return " " if piece["url"] or piece["mark"] else _decoded(piece[0])


def _of_the_picture(rest: str) -> bool:
    """Whether only the picture is named after a dash: "a flower on white - stock photo"."""
    words = re.findall(r"\w+", rest.lower()) if len(rest) < _SHORT else []
    named = all(word in lexicon.noise("n") | lexicon.noise("a") for word in words)
    return named and 0 < len(words) <= _ENDING and not wordnet.has(words[-1], "a")  # "- left"


def _decoded(entity: str) -> str:
    while (text := html.unescape(entity)) != entity:
        entity = text
    return entity


def _one_word(caption: str, start: int, end: int) -> bool:
    """Whether the words around a spaced hyphen are one: "clean - up", "tube - fed"."""
    left = re.split(r"\W", caption[max(0, start - 40) : start])[-1].lower()
    right, follows = [*re.split(r"\W+", caption[end : end + 40].lower()), ""][:2]
    if any(wordnet.has(word, pos) for word in (f"{left}-{right}", left + right) for pos in "nva"):
        return True
    if wordnet.has(wordnet.lemma(f"{left}-{right} {follows}", "n"), "n"):  # "hot - air balloons"
        return True
    if right in _PARTICLES:  # "pop - up", "built - in", but not "boats - in the harbour"
        return wordnet.has(wordnet.lemma(left, "v"), "v") and follows not in _ARTICLES
    if wordnet.is_colour(right):
        return wordnet.has(left, "n") or left in _GLUING
    describes = right in _GLUED or (right.endswith("ed") and wordnet.has(right, "a"))
    if wordnet.lemma(left, "n") != left:
        return left in _GLUING  # "flowers - painted with ink"
    thing = wordnet.lemma(follows, "n")
    if _kind_of(left, right, thing) or _done_so(left, right, thing):
        return True
    return left in _GLUING or describes


def is_year(word: str) -> bool:
    """Four digits that a caption more likely means as a year than as a number of things."""
    return re.fullmatch(r"1[5-9]\d\d|20\d\d", word) is not None


def _kind_of(left: str, right: str, thing: str) -> bool:
    """ "two - story home", "ribbon - cutting ceremony": the first two words say what kind it is."""
    if len(thing) < 3 or not wordnet.has(thing, "n"):
        return False  # "photo - arriving at": a chemist's noun
    if wordnet.is_living(left) or wordnet.is_living(right):
        return False  # "day 2 - man walks", "portrait of a man - wearing sunglasses"
    if left.isdigit() or describing.is_ordinal(left) or wordnet.is_number(left):
        return not is_year(left) and wordnet.lemma(right, "n") == right
    does = right.endswith("ing") and wordnet.has(wordnet.lemma(right, "v", inflected=True), "v")
    return does and wordnet.has(left, "n")


def _done_so(left: str, right: str, thing: str) -> bool:
    """ "oil - rubbed bronze", "wind - driven fire": what was done to it, and by what."""
    verb = wordnet.lemma(right, "v", inflected=True)
    past = right.endswith(("ed", "en", "wn")) and verb != right and wordnet.has(verb, "v")
    named = len(thing) > 2 and wordnet.has(thing, "n") and not wordnet.has(right, "n")
    return past and named and wordnet.has(left, "n") and not wordnet.is_living(left)


def _joined(characters: list[tuple[str, int, int]]) -> CleanText:
    kept: list[tuple[str, int, int]] = []
    for raw, start, end in characters:
        char = _readable(raw)
        if char == " " and (not kept or kept[-1][0] == " "):
            continue
        if char:
            kept.append((char, start, end))
    while kept and kept[-1][0] == " ":
        kept.pop()
    text = _calm("".join(c for c, _, _ in kept))
    return CleanText(text, [s for _, s, _ in kept], [e for _, _, e in kept])


def _readable(char: str) -> str:
    """One character, a space, or nothing."""
    if char.isascii() and char.isprintable():
        return _QUOTES.get(char, char)
    category = unicodedata.category(char)
    if category == "Cf":  # joiners and direction marks: invisible inside words
        return ""
    if category[0] in "CZ":  # controls, lone surrogates, unassigned; separators
        return " "
    return _QUOTES.get(char, char)


def _calm(text: str) -> str:
    """Lower case where capitals carry nothing: ALL CAPS, Or A Title With Every Word Capitalised."""
    if text.islower():
        return text
    words = [word for word in text.split() if word[0].isalpha()]
    long = [word for word in words if len(word) > 3] or words
    shouted = sum(c.isupper() for c in text) > 0.7 * max(1, sum(c.isalpha() for c in text))
    titled = len(words) >= 4 and all(word[0].isupper() for word in long)
    if not (shouted or titled):
        return text
    # A letter whose lower case is longer than itself stays, or the characters would shift.
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)
