"""Texts of any script in Matplotlib: never mathematics, in fonts that have their letters, broken into lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from earthreason.geo.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOX = "□"
"""What is drawn for a letter that no font has."""
_LONGEST = 170
"""Width of the name of a bar in points, at most, so that there is room for the bars."""
_INVISIBLE = ("Cf", "Mn", "Me")
"""Categories of characters that change their neighbours, and are left out where no font has them."""
_PREFERRED = ("Noto Sans", "Noto")
"""Beginnings of the names of fonts that are taken before others which have the same letters."""
_UNUSABLE = ("Last Resort", "cm", "STIX")
"""Beginnings of the names of Matplotlib's fonts for mathematics, and of the one that draws a box for every letter."""
_UPRIGHT = {("normal", "normal", weight) for weight in (400, "normal", "regular")}


@dataclass(frozen=True)
class Lettering:
    """How some texts are drawn.

    Attributes:
        families: names of fonts; Matplotlib takes every letter from the first that has it.
        missing: letters that no installed font has.
    """

    families: list[str]
    missing: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lettering:
        """Choose the fonts for texts: that of all figures, and those that have the letters which it lacks."""
        import matplotlib as mpl

        letters = {letter for text in texts for letter in printable(text) if not letter.isspace()}
        families = list(mpl.rcParams["font.family"])
        wanted = letters - _letters_of(_path_of(tuple(families)))
        for family, path in _other_fonts() if wanted else ():
            if found := wanted & _letters_of(path):
                families.append(family)
                wanted -= found
            if not wanted:
                break
        return cls(families, frozenset(wanted))

    def write(self, text: str) -> str:
        """Return a text as Matplotlib draws it: a dollar is a dollar, and a letter that no font has is a box."""
        drawn = "".join(self._draw(letter) for letter in printable(text))
        return drawn.replace("$", r"\$")

    def wrap(self, text: str, width: float, size: float, indent: str = "") -> list[str]:
        """Break a text into lines that are no wider than `width` points in letters of `size` points, as `write` does.

        Line breaks in the text are kept, and a word that is wider than a line is broken.

        Args:
            text: text as it was written.
            width: width of a line in points.
            size: size of the letters in points.
            indent: beginning of every line but the first.
        """
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path

        font = FontProperties(family=self.families, size=size)
        lines: list[str] = []

        def fits(line: str) -> bool:
            return float(text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]) <= width

        for paragraph in "".join(self._draw(letter) for letter in printable(text)).split("\n"):
            line = indent if lines else ""
            for number, word in enumerate(paragraph.split()):
                gap = " " if number else ""
                if fits(f"{line}{gap}{word}"):
                    line += gap + word
                    continue
                if number and fits(indent + word):
                    lines.append(line)
                    line = indent + word
                    continue
                for letter in gap + word:
                    if line.strip() and not fits(line + letter):
                        lines.append(line)
                        line = indent
                    line += letter
            lines.append(line)
        return [line.replace("$", r"\$") for line in lines]

    def shorten(self, text: str, width: float, size: float) -> str:
        """Return a text in one line as `write` does; what is beyond `width` points becomes …."""
        line, *more = self.wrap(" ".join(text.split()), width, size)
        return f"{line}…" if more else line

    def _draw(self, letter: str) -> str:
        if letter not in self.missing:
            return letter
        return "" if unicodedata.category(letter) in _INVISIBLE else BOX


def draw_bars(axis: Axes, values: Mapping[str, float], label: str, colour: str, size: float | None = None) -> None:
    """Draw a horizontal bar for every name, which is shortened if it is long, from the top down.

    Args:
        axis: axes to draw on.
        values: lengths by name.
        label: what a length is.
        colour: colour of the bars.
        size: size of the names in points; None for the usual one.
    """
    lettering = Lettering.of(values)
    places = range(len(values))
    axis.barh(places, list(values.values()), height=0.7, color=colour)
    names = [lettering.shorten(name, _LONGEST, size or 10) for name in values]
    axis.set_yticks(places, names, family=lettering.families, size=size)
    axis.invert_yaxis()
    axis.margins(y=0.02)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(label)


@lru_cache(maxsize=64)
def _path_of(families: tuple[str, ...]) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return findfont(FontProperties(family=list(families)))


@lru_cache(maxsize=64)
def _letters_of(path: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(path).get_charmap()))


def _other_fonts() -> Sequence[tuple[str, str]]:
    """List upright fonts of the usual weight, the preferred first, each with its file."""
    from matplotlib.font_manager import fontManager

    def rank(family: str) -> tuple[int, str]:
        places = [place for place, start in enumerate(_PREFERRED) if family.startswith(start)]
        return min(places, default=len(_PREFERRED)), family

    files: dict[str, str] = {}
    for font in fontManager.ttflist:
        if (font.style, font.variant, font.weight) in _UPRIGHT and not font.name.startswith(_UNUSABLE):
            files.setdefault(font.name, font.fname)
    return sorted(files.items(), key=lambda item: rank(item[0]))
