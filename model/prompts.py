"""The 63 sentences a name that CLIP's label queries are the mean of, as RAM was trained with them.

They are those of ViLD (Gu et al. 2022; Apache-2.0), as RAM's own code has them: here by
their rule.
"""

from __future__ import annotations

_PHOTOS = (
    "good", "bad", "bright", "dark", "low resolution", "cropped", "close-up", "jpeg corrupted",
    "blurry", "pixelated", "black and white",
)  # fmt: skip
_THINGS = ("nice", "cool", "weird", "small", "large", "clean", "dirty", "hard to see")
_MADE = ("a plastic", "a toy", "a plushie", "a cartoon", "an embroidered")


def sentences(name: str) -> tuple[str, ...]:
    """Sentences about a label, lower-cased; "_" is a blank, "/" means or, a last dot falls."""
    a = "an" if name[0] in "aeiou" else "a"  # of the name as it is written, as published
    plain = name.replace("_", " ").replace("/", " or ").lower().rstrip(".")
    found = [f"There is {which} {plain} in the scene." for which in (a, "the")]
    found += [f"itap of {which} {plain}." for which in (a, "my", "the")]
    shown = [f"a photo of {which} {plain} in the scene." for which in (a, "the", "one")]
    shown += [f"a photo of {which} {plain}." for which in (a, "my", "the", "one", "many")]
    shown += [f"a {look} photo of {which} {plain}." for look in _PHOTOS for which in (a, "the")]
    shown += [f"a photo of {which} {look} {plain}." for look in _THINGS for which in ("a", "the")]
    for made in _MADE:
        shown += [f"{made} {plain}.", f"the {made.split(' ', 1)[1]} {plain}."]
    shown += [f"a painting of {which} {plain}." for which in ("a", "the")]
    return (*found, *(f"This is {text}" for text in shown))
