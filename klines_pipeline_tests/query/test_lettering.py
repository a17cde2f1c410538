"""Names in pictures: as the exchange spells them where a font has the letters, legible where none has, never fatal."""

from datetime import date
from pathlib import Path

import pytest
from matplotlib.font_manager import FontProperties, findfont

from klines_pipeline.klines.completeness import Cell, Grid
from klines_pipeline.query.chart import small_heat_map
from klines_pipeline.query.lettering import lettering

CHINESE = "币安人生USDT"
OWN = findfont(FontProperties())


@pytest.mark.parametrize("text", ["BTCUSDT", "β-USDT", "ЖUSDT"])
def test_what_the_own_font_has_is_written_with_it(text: str) -> None:
    written = lettering(text, 8, fonts=[])

    assert (written.text, written.font.get_family()) == (text, FontProperties().get_family())


def test_what_no_font_has_is_escaped_so_that_it_can_be_told_apart() -> None:
    assert lettering(CHINESE, 8, fonts=[OWN]).text == "\\u5e01\\u5b89\\u4eba\\u751fUSDT"


def test_a_file_that_is_no_font_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")

    written = lettering(CHINESE, 8, fonts=[str(tmp_path / "broken.ttf"), str(tmp_path / "absent.ttf")])

    assert written.text.isascii()


def test_a_font_that_has_the_letters_writes_them() -> None:
    written = lettering(CHINESE, 8)
    if written.text != CHINESE:
        pytest.skip("no font with Chinese letters is installed here")

    family = FontProperties(family=written.font.get_family()[-1:])
    assert lettering(CHINESE, 8, fonts=[OWN, findfont(family, fallback_to_default=False)]) == written


@pytest.mark.parametrize("names", [(CHINESE, "龙虾USDT"), ("$A$USDT", "\U0010fffdUSDT")])
def test_a_heat_map_is_drawn_whatever_the_symbols_are_called(names: tuple[str, ...]) -> None:
    grid = Grid((date(2025, 3, 1),), names, tuple((Cell.COMPLETE,) for _ in names))

    assert small_heat_map(grid, title="$ 币安 $").startswith(b"\x89PNG")
