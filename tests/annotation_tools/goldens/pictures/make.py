"""Make rasters of many kinds with GDAL's programs, and record what GDAL shows of each in `shown.json`.

Run with the programs of Debian's gdal-bin on the path: python make.py. Only GDAL's programs touch a pixel: they write
the files, turn palettes into colours (`-expand rgb`), choose bands (`-b`), and read masks (`-b mask`).
"""

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
HEIGHT, WIDTH = 16, 16
ENVI_BYTE = 1
COLOURS = [(0, 0, 0), (230, 30, 40), (20, 200, 60), (50, 70, 240)]


def gdal(program, *arguments):
    subprocess.run([program, "-q", *map(str, arguments)], check=True, cwd=HERE)


def raw(name, bands):
    """Write bands, functions of row and column, as the plain bytes that GDAL's ENVI driver reads."""
    content = bytes(band(row, column) for band in bands for row in range(HEIGHT) for column in range(WIDTH))
    (HERE / name).write_bytes(content)
    lines = ["ENVI", f"samples={WIDTH}", f"lines={HEIGHT}", f"bands={len(bands)}", f"data type={ENVI_BYTE}"]
    (HERE / f"{name}.hdr").write_text("\n".join([*lines, "interleave=bsq", ""]))
    return name


def palette_vrt(name, source):
    entries = "".join(f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="255"/>' for r, g, b in COLOURS)
    (HERE / name).write_text(
        f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}"><VRTRasterBand dataType="Byte" band="1">'
        f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable><SimpleSource>"
        f'<SourceFilename relativeToVRT="1">{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    return name


def pixels(name, *options):
    """Return the bytes of the portable pixmap that gdal_translate makes of a file."""
    gdal("gdal_translate", "-of", "PNM", *options, name, "shown.pnm")
    return (HERE / "shown.pnm").read_bytes()[-HEIGHT * WIDTH * (3 if "P6" in head(HERE / "shown.pnm") else 1) :]


def head(path):
    return path.read_bytes()[:2].decode()


def shown(name, bands=(1, 2, 3), expand=False, mask=None):
    if expand:
        colours = pixels(name, "-expand", "rgb")
    else:
        colours = pixels(name, *[part for band in bands for part in ("-b", band)])
    if len(bands) == 1 and not expand:
        colours = bytes(value for value in colours for _ in range(3))
    if mask is not None:
        valid = pixels(name, "-b", mask)
        colours = bytes(value if valid[index // 3] else 0 for index, value in enumerate(colours))
    return colours.hex()


def main():
    red, green, blue = lambda r, c: 10 * r + c, lambda r, c: 250 - 9 * c, lambda r, c: 16 * (r % 4) + c
    near, opaque = lambda r, c: 5 * c, lambda r, c: 0 if c < 5 else 100 if c < 9 else 255
    raw("four", [red, green, blue, near])
    raw("swapped", [blue, green, red, near])
    raw("framed", [lambda r, c, of=of: 33 if c < 3 else max(of(r, c), 34) for of in (red, green, blue)])
    raw("alpha", [red, green, blue, opaque])
    raw("grey_alpha", [red, opaque])
    raw("one", [red])
    raw("index", [lambda r, c: (r + c) % 4])
    raw("bits", [lambda r, c: (r + c) % 2])
    raw("smooth", [lambda r, c: 8 * r + 3 * c, lambda r, c: 100, lambda r, c: 10 * c])
    tags = ["-colorinterp", "blue,green,red,undefined"]
    plain = ["-b", 1, "-b", 2, "-b", 3]
    gdal("gdal_translate", *tags, "swapped", "bgr_nir.tif")
    gdal("gdal_translate", "-co", "ALPHA=YES", "-colorinterp", "red,green,blue,alpha", "alpha", "rgb_alpha.tif")
    gdal("gdal_translate", "-colorinterp", "gray,alpha", "grey_alpha", "grey_alpha.tif")
    gdal("gdal_translate", "-colorinterp", "red,green,blue", "-a_nodata", 33, "framed", "nodata.tif")
    gdal("gdal_translate", *plain, "-mask", 4, "--config", "GDAL_TIFF_INTERNAL_MASK", "YES", "alpha", "inner_mask.tif")
    gdal("gdal_translate", *plain, "-mask", 4, "--config", "GDAL_TIFF_INTERNAL_MASK", "NO", "alpha", "outer_mask.tif")
    gdal("gdal_translate", palette_vrt("palette.vrt", "index"), "palette.tif")
    gdal("gdal_translate", "-of", "PNG", "palette.vrt", "palette.png")
    gdal("gdal_translate", "-co", "NBITS=1", "bits", "bits.tif")
    gdal("gdal_translate", "-co", "PHOTOMETRIC=MINISWHITE", "one", "white_is_zero.tif")
    jpeg = ["-co", "COMPRESS=JPEG", "-co", "PHOTOMETRIC=YCBCR", "-co", "JPEG_QUALITY=90"]
    gdal("gdal_translate", *jpeg, "-colorinterp", "red,green,blue", "smooth", "ycbcr.tif")
    gdal("gdal_translate", "-co", "PHOTOMETRIC=CMYK", "four", "cmyk.tif")
    exact = ["-co", "QUALITY=100", "-co", "REVERSIBLE=YES"]
    gdal("gdal_translate", "-of", "JP2OpenJPEG", *exact, *plain, "four", "exact.jp2")
    gdal("gdal_translate", "-of", "WEBP", "-co", "LOSSLESS=YES", *plain, "four", "exact.webp")
    gdal("gdal_translate", "-of", "BMP", *plain, "four", "plain.bmp")
    gdal("gdal_translate", "-of", "BMP", "palette.vrt", "palette.bmp")
    found = {
        "bgr_nir.tif": shown("bgr_nir.tif", (3, 2, 1)),
        "rgb_alpha.tif": shown("rgb_alpha.tif", mask=4),
        "grey_alpha.tif": shown("grey_alpha.tif", (1,), mask=2),
        "nodata.tif": shown("nodata.tif", mask="mask"),
        "inner_mask.tif": shown("inner_mask.tif", mask="mask"),
        "outer_mask.tif": shown("outer_mask.tif", mask="mask"),
        **{name: shown(name, expand=True) for name in ("palette.tif", "palette.png", "palette.bmp", "bits.tif")},
        "white_is_zero.tif": shown("white_is_zero.tif", expand=True),
        **{name: shown(name) for name in ("ycbcr.tif", "cmyk.tif", "exact.jp2", "exact.webp", "plain.bmp")},
    }
    version = subprocess.run(["gdalinfo", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    document = {"made_by": version, "height": HEIGHT, "width": WIDTH, "rgb": found}
    (HERE / "shown.json").write_text(json.dumps(document, indent=1) + "\n")
    keep = {*found, "outer_mask.tif.msk", "shown.json", Path(__file__).name}
    for path in HERE.iterdir():
        if path.name not in keep and path.is_file():
            path.unlink()


if __name__ == "__main__":
    main()
