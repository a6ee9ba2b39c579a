import pytest

from earthreason.errors import DataFormatError
from earthreason.geo.reading import open_scene

from .rasters import gdal, needs_gdal, noise, write

SOURCE = '<SimpleSource><SourceFilename relativeToVRT="{relative}">{name}</SourceFilename></SimpleSource>'


def vrt(path, content, head=""):
    band = f'<VRTRasterBand dataType="Byte" band="1">{content}</VRTRasterBand>'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<VRTDataset rasterXSize="60" rasterYSize="40">{head}{band}</VRTDataset>')
    return path


def read(path):
    with open_scene(path) as scene:
        return scene.read(scene.grid.whole, 40, 60).pixels


def refusal(path):
    with pytest.raises(DataFormatError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rasters_in_the_folder_and_below_are_read_also_through_another_vrt(tmp_path):
    write(tmp_path / "below/a.tif", noise(1))
    expected = noise(1)[0]
    relative = vrt(tmp_path / "r.vrt", SOURCE.format(relative=1, name="below/a.tif"))
    absolute = vrt(tmp_path / "a.vrt", SOURCE.format(relative=0, name=tmp_path / "below/a.tif"))
    nested = vrt(tmp_path / "n.vrt", SOURCE.format(relative=1, name="r.vrt"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/link.vrt").symlink_to(relative)
    for path in (relative, absolute, nested, tmp_path / "elsewhere/link.vrt"):
        assert (read(path)[..., 0] == expected).all(), path


@pytest.mark.parametrize("relative", [0, 1])
@pytest.mark.parametrize("name", ["{other}", "../secret.tif", "link.tif"])
def test_a_vrt_reads_nothing_outside_its_folder(tmp_path, monkeypatch, name, relative):
    monkeypatch.chdir(tmp_path)
    secret = write(tmp_path / "secret.tif", noise(1))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.tif").symlink_to(secret)
    path = vrt(tmp_path / "in/v.vrt", SOURCE.format(relative=relative, name=name.format(other=secret)))
    if name == "link.tif" and not relative:
        monkeypatch.chdir(tmp_path / "in")
    assert "is not in the VRT's folder" in refusal(path)


@pytest.mark.parametrize(
    "name",
    [
        "/vsicurl/http://127.0.0.1:9/a.tif",
        "http://127.0.0.1:9/a.tif",
        "WMS:x",
        "/vsizip/a.zip/a.tif",
        "&lt;VRTDataset/>",
    ],
)
def test_a_vrt_reads_no_address_and_no_other_driver(tmp_path, name):
    assert "is no plain file" in refusal(vrt(tmp_path / "v.vrt", SOURCE.format(relative=0, name=name)))


def test_a_source_that_another_driver_would_read_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text(
        "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service>"
    )
    said = refusal(vrt(tmp_path / "v.vrt", SOURCE.format(relative=1, name="a.tif")))
    assert "not a raster that is read here" in said
    nested = vrt(tmp_path / "n.vrt", SOURCE.format(relative=0, name="/vsicurl/http://127.0.0.1:9/"))
    assert "n.vrt reads" in refusal(vrt(tmp_path / "m.vrt", SOURCE.format(relative=1, name=nested.name)))


def test_what_is_more_than_a_mosaic_is_refused(tmp_path):
    write(tmp_path / "a.tif", noise(1))
    source = SOURCE.format(relative=1, name="a.tif")
    code = "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
    overviews = '<Metadata domain="Overviews"><MDI key="OVERVIEW_FILE">/etc/x</MDI></Metadata>'
    options = SOURCE.format(relative=1, name="a.tif").replace("</Simple", "<OpenOptions/></Simple")
    assert "has <PixelFunctionType>" in refusal(vrt(tmp_path / "code.vrt", code + source))
    assert "names a file of overviews" in refusal(vrt(tmp_path / "o.vrt", source, overviews))
    assert "has <OpenOptions>" in refusal(vrt(tmp_path / "p.vrt", options))
    raw = vrt(tmp_path / "raw.vrt", source)
    raw.write_text(raw.read_text().replace("<VRTRasterBand", '<VRTRasterBand subClass="VRTRawRasterBand"'))
    assert "is a VRTRawRasterBand" in refusal(raw)


@needs_gdal
def test_a_warped_vrt_is_refused_with_the_command_that_helps(tmp_path):
    write(tmp_path / "a.tif", noise())
    gdal("gdalwarp", "-q", "-of", "VRT", "-t_srs", "EPSG:3857", tmp_path / "a.tif", tmp_path / "w.vrt")
    assert "(gdal_translate w.vrt scene.tif)" in refusal(tmp_path / "w.vrt")


def test_entities_loops_and_what_is_no_xml_are_refused(tmp_path):
    loop = vrt(tmp_path / "loop.vrt", SOURCE.format(relative=1, name="loop.vrt"))
    refusal(loop)
    bomb = tmp_path / "bomb.vrt"
    bomb.write_text('<!DOCTYPE x [<!ENTITY a "aaaa">]><VRTDataset>&a;</VRTDataset>')
    assert "declares entities" in refusal(bomb)
    (tmp_path / "cut.vrt").write_text(loop.read_text()[:90])
    assert "not a readable VRT" in refusal(tmp_path / "cut.vrt")
    assert "gone.tif, which is missing" in refusal(vrt(tmp_path / "g.vrt", SOURCE.format(relative=1, name="gone.tif")))


def test_a_source_that_is_truncated_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", noise(1, 40, 60))
    path.write_bytes(path.read_bytes()[:1500])
    assert "get the file again" in refusal(vrt(tmp_path / "v.vrt", SOURCE.format(relative=1, name="a.tif")))
