from PIL import Image

from earthreason.synthetic.categories import CATEGORIES
from tests.synthetic.contact_sheet import draw_contact_sheet


def test_the_sheet_has_a_cell_for_every_category(tmp_path):
    with Image.open(draw_contact_sheet(tmp_path / "sheet.jpg", side=128, columns=7)) as sheet:
        assert sheet.width == 7 * 128
        assert sheet.height >= len(CATEGORIES) / 7 * 128
