import http.server
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.geo.grid import Window
from earthreason.geo.reading import open_scene

from .rasters import gdal, needs_gdal, noise, write

FORMS = {
    "strips": ["-of", "GTiff"],
    "tiles": ["-of", "GTiff", "-co", "TILED=YES", "-co", "BLOCKXSIZE=16", "-co", "BLOCKYSIZE=16"],
    "jpeg": ["-of", "GTiff", "-co", "COMPRESS=JPEG"],
    "lzw": ["-of", "GTiff", "-co", "COMPRESS=LZW"],
    "zstd": ["-of", "GTiff", "-co", "COMPRESS=ZSTD"],
    "separate": ["-of", "GTiff", "-co", "INTERLEAVE=BAND"],
    "cog": ["-of", "COG"],
    "jp2": ["-of", "JP2OpenJPEG"],
    "png": ["-of", "PNG", "-co", "WORLDFILE=YES"],
    "jpg": ["-of", "JPEG", "-co", "WORLDFILE=YES"],
    "bmp": ["-of", "BMP", "-co", "WORLDFILE=YES"],
    "webp": ["-of", "WEBP"],
}


def read(path):
    with open_scene(path) as scene:
        return scene.read(scene.grid.whole, scene.grid.height, scene.grid.width)


def refusal(path):
    with pytest.raises(EarthReasonError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@needs_gdal
@pytest.mark.parametrize("form", FORMS)
def test_truncated_files_are_refused_in_one_line_and_never_read_as_garbage(tmp_path, form):
    write(tmp_path / "source.tif", noise(3, 200, 300), meanings=("red", "green", "blue"))
    path = tmp_path / "scene.any"
    gdal("gdal_translate", "-q", *FORMS[form], tmp_path / "source.tif", path)
    content = path.read_bytes()
    assert read(path).pixels.any()
    for share in (0.97, 0.5, 0.1):
        path.write_bytes(content[: int(len(content) * share)])
        assert "get the file again" in refusal(path)


def test_what_is_whole_of_a_truncated_file_is_read(tmp_path):
    values = noise(3, 200, 300)
    path = write(tmp_path / "a.tif", values)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with open_scene(path) as scene:
        assert np.array_equal(scene.read(Window(0, 0, 300, 20), 20, 300).pixels, values[:, :20].transpose(1, 2, 0))
        with pytest.raises(DataFormatError, match=r"a\.tif: cannot be read at column 0, row 180 \(.*truncated"):
            scene.read(Window(0, 180, 300, 20), 20, 300)


def test_blocks_that_a_sound_file_leaves_out_have_no_data_or_are_black(tmp_path):
    import rasterio

    for nodata in (None, 7):
        path = tmp_path / f"{nodata}.tif"
        facts = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8", "nodata": nodata}
        with rasterio.open(path, "w", tiled=True, blockxsize=16, blockysize=16, sparse_ok=True, **facts) as target:
            target.write(np.full((1, 16, 16), 99, np.uint8), window=((0, 16), (0, 16)))
        assert path.stat().st_size < 64 * 64
        block = read(path)
        assert (block.pixels[..., 0] == 99).sum() == 256
        assert (block.pixels == 0).sum() == 3 * (4096 - 256)
        assert block.valid is None if nodata is None else block.valid.sum() == 256


def test_a_damaged_png_with_a_place_is_refused(tmp_path):
    Image.fromarray(noise(3, 50, 60).transpose(1, 2, 0)).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text("1\n0\n0\n-1\n100\n200\n")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "a.png").write_bytes(content)
    assert "wrong checksum" in refusal(tmp_path / "a.png")


def test_pages_are_refused_with_the_command_that_takes_one_out(tmp_path):
    first, second = (Image.new("RGB", (6, 4), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    assert "2 pages; save the one to ask about as a file of its own (gdal_translate GTIFF_DIR:1:" in refusal(
        tmp_path / "pages.tif"
    )
    first.save(tmp_path / "moving.webp", save_all=True, append_images=[second])
    assert "animation of 2 pictures" in refusal(tmp_path / "moving.webp")


def test_complex_numbers_and_two_bands_are_refused(tmp_path):
    assert "complex numbers have no colours" in refusal(write(tmp_path / "c.tif", np.ones((1, 4, 4), np.complex64)))
    assert "has two bands" in refusal(write(tmp_path / "t.tif", noise(2)))


def test_sizes_beyond_sense_are_refused_before_memory_is_taken(tmp_path):
    import rasterio

    path = tmp_path / "huge.tif"
    facts = {"driver": "GTiff", "width": 1_000_000, "height": 200_000, "count": 1, "dtype": "uint8"}
    rasterio.open(
        path, "w", sparse_ok=True, tiled=True, blockxsize=4096, blockysize=4096, bigtiff="yes", **facts
    ).close()
    assert "states 1000000 x 200000 pixels in 1 band; at most 100 gigapixels" in refusal(path)
    entries = [(256, 4, 1, 0), (257, 4, 1, 0), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 0)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    (tmp_path / "zero.tif").write_bytes(b"II*\0\x08\0\0\0" + directory + bytes(4))
    refusal(tmp_path / "zero.tif")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"GIF89a" + bytes(40), "not a GeoTIFF, VRT"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "convert it first"),
        (
            b"<GDAL_WMS><Service name='TMS'><ServerUrl>http://localhost/</ServerUrl></Service></GDAL_WMS>",
            "not a GeoTIFF",
        ),
        (b"II*\0" + bytes(40), "truncated or damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(4), "truncated"),
        (b"\xff\xd8\xff" + bytes(40), "truncated or damaged"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, fault):
    (tmp_path / "x.tif").write_bytes(content)
    assert fault in refusal(tmp_path / "x.tif")


def test_no_file_and_a_folder_are_said(tmp_path):
    with pytest.raises(DataNotFoundError, match="there is no scene"):
        read(tmp_path / "none.tif")
    with pytest.raises(EarthReasonError, match="is a folder"):
        read(tmp_path)


@pytest.fixture
def asked():
    """Address of a server, and the paths that it was asked for."""
    paths = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()


def run(script, path):
    """Run a script on a file in a process of its own: GDAL asks servers while it holds the interpreter's lock."""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60, capture_output=True)


def test_overviews_at_an_address_are_not_fetched(tmp_path, asked):
    address, paths = asked
    path = write(tmp_path / "a.tif", noise(3, 300, 300, np.uint16, 4000))
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS">'
        f'<MDI key="OVERVIEW_FILE">/vsicurl/{address}/o.tif</MDI></Metadata></PAMDataset>'
    )
    run("import rasterio, sys; rasterio.open(sys.argv[1]).overviews(1)", path)
    assert paths, "GDAL alone asks the server, so the next check can fail"
    paths.clear()
    run(
        "import sys, pathlib; from earthreason.geo.reading import open_scene\n"
        "with open_scene(pathlib.Path(sys.argv[1])) as scene: scene.read(scene.grid.whole, 50, 50)",
        path,
    )
    assert paths == []
