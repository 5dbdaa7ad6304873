"""The sentences behind CLIP's label queries, by what is published of them."""

from __future__ import annotations

from model.prompts import sentences


def test_there_are_63_each_of_its_own() -> None:
    found = sentences("dog")
    assert len(found) == len(set(found)) == 63
    assert "There is a dog in the scene." in found
    assert "itap of my dog." in found and "This is a photo of many dog." in found
    assert "This is a photo of the hard to see dog." in found
    assert "This is a painting of a dog." in found
    assert "This is the embroidered dog." in found and "This is an embroidered dog." in found
    assert not any(text.startswith(("a ", "an ", "the ")) for text in found)


def test_names_are_said_as_published() -> None:
    assert all("fire hydrant or tap" in text for text in sentences("Fire_hydrant/tap."))
    assert "There is an owl in the scene." in sentences("owl")
    # The article goes by the name as it is written.
    assert "There is a eiffel tower in the scene." in sentences("Eiffel tower")
