"""Letters for pictures: what the own font lacks in another one installed, else escaped. Needs the extra `charts`."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

_STYLED = ("black", "bold", "condensed", "italic", "light", "medium", "mono", "oblique", "serif", "thin")


class Lettering(NamedTuple):
    """A text that can be drawn, and what with."""

    text: str
    font: FontProperties


def lettering(text: str, size: float, fonts: Sequence[str] | None = None) -> Lettering:
    """`币安人生USDT` with the first font that has it; `\\u5e01\\u5b89\\u4eba\\u751fUSDT` where none of `fonts` has.

    `fonts` are paths, by default those installed here.
    """
    own = findfont(FontProperties())
    strange = _lacking(own, text)
    if not strange:
        return Lettering(text, FontProperties(size=size))
    for path in _installed() if fonts is None else fonts:
        if not _lacking(path, strange):
            return Lettering(text, FontProperties(family=[*FontProperties().get_family(), _family(path)], size=size))
    return Lettering(text.encode("ascii", "backslashreplace").decode(), FontProperties(size=size))


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """Plain ones first."""
    paths = sorted(findSystemFonts())
    return tuple(sorted(paths, key=lambda path: any(style in Path(path).stem.lower() for style in _STYLED)))


def _lacking(path: str, text: str) -> str:
    """The letters that the font has not."""
    if text.isascii():
        return ""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # a file that is no font, or one that FreeType does not read
        return text
    return "".join(letter for letter in text if not (font.scalable and font.get_char_index(ord(letter))))


def _family(path: str) -> str:
    """The font's name, under which it can be used from now on."""
    name = FT2Font(path).family_name
    if name not in fontManager.get_font_names():
        fontManager.addfont(path)
    return name
