"""One-off: packs a folder of WordNet 3.0 database files as `wordnet/corpora/wordnet.zip`.

    python -m parsing.data.build_wordnet SOURCE

SOURCE holds data.*, index.*, *.exc and cntlist.rev, as Debian's `wordnet-base` installs them.
NLTK also wants `lexnames`, which no package has: it is written here. From `index.sense` NLTK maps
the version to itself for other languages, at every start: an empty file spares seconds.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).parent / "wordnet" / "corpora" / "wordnet.zip"
PARTS = ("noun", "verb", "adj", "adv")
SOURCES = [f"{kind}.{part}" for kind in ("data", "index") for part in PARTS]
SOURCES += [f"{part}.exc" for part in PARTS] + ["cntlist.rev"]

# The 45 lexicographer files in their fixed order (manual page lexnames(5WN)).
_LEXNAMES = """
adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body
noun.cognition noun.communication noun.event noun.feeling noun.food noun.group noun.location
noun.motive noun.object noun.person noun.phenomenon noun.plant noun.possession noun.process
noun.quantity noun.relation noun.shape noun.state noun.substance noun.time verb.body verb.change
verb.cognition verb.communication verb.competition verb.consumption verb.contact verb.creation
verb.emotion verb.motion verb.perception verb.possession verb.social verb.stative verb.weather
adj.ppl
"""
SYNTACTIC = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
A_DATE = (2006, 12, 1, 0, 0, 0)  # fixed, so that the same source gives the same bytes


def lexnames() -> str:
    """The missing file: number, name, syntactic category."""
    lines = (
        f"{n:02}\t{name}\t{SYNTACTIC[name.split('.')[0]]}"
        for n, name in enumerate(_LEXNAMES.split())
    )
    return "\n".join(lines) + "\n"


def build(source: Path, target: Path = TARGET) -> None:
    """Write the zip that NLTK reads."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        out.writestr(zipfile.ZipInfo("wordnet/", A_DATE), "")  # NLTK looks the folder itself up
        for name in SOURCES:
            _add(out, name, (source / name).read_bytes())
        _add(out, "lexnames", lexnames().encode())
        _add(out, "index.sense", b"")


def _add(out: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(f"wordnet/{name}", A_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    out.writestr(info, content)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
