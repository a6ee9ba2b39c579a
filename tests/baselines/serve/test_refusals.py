"""Bad input: one line with the right status, nothing kept, and the server goes on."""

import io
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.baselines.serve.fakes import answer_whole, png, running, square, wait_until


def refused(answer, status, *words):
    assert answer.status_code == status, answer.text
    line = answer.json()["error"]
    assert "\n" not in line
    assert all(word in line for word in words), line


@pytest.fixture(autouse=True)
def still_serves(server):
    yield
    assert server.segment(png(square())).status_code == 200
    assert not list(server.state.results.folder.glob("upload-*"))


def bomb(width, height):
    """A PNG whose header promises many pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(3000, 2000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(server, model, width, height):
    refused(server.segment(bomb(width, height)), 413, "a.png")
    assert model.calls == []


def test_a_tiff_bomb_is_refused_by_its_header(server, tmp_path):
    import rasterio

    path = tmp_path / "bomb.tif"
    profile = {"driver": "GTiff", "width": 40_000, "height": 40_000, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, tiled=True, compress="deflate", sparse_ok=True):
        pass
    assert path.stat().st_size < 2_000_000
    refused(server.segment(path.read_bytes(), name="bomb.tif"), 413, "bomb.tif", "1600 megapixels")


def test_a_tiff_with_one_vast_tile_is_refused(server, tmp_path):
    import rasterio

    path = tmp_path / "vast.tif"
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, tiled=True, blockxsize=16_384, blockysize=16_384, sparse_ok=True):
        pass
    refused(server.segment(path.read_bytes(), name="vast.tif"), 413, "16384 x 16384")


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" + bytes(100), b"<VRTDataset></VRTDataset>"])
def test_what_is_no_picture_is_refused_whatever_its_name(server, content):
    refused(server.segment(content, name="a.png"), 415, "a.png")


def test_a_raster_description_behind_the_magic_of_jpeg_is_not_opened(server, tmp_path):
    """A VRT may name any file of the server; GDAL would find it anywhere in the first kilobyte."""
    content = b"\xff\xd8\xff\xfe  <VRTDataset rasterXSize='9' rasterYSize='9'><SourceFilename>/etc/passwd"
    answer = server.segment(content, name="a.jpg")
    assert answer.status_code in (415, 422)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_truncated_picture_is_refused(server, kind):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    refused(server.segment(file.getvalue()[: len(file.getvalue()) // 2], name="half.jpg"), 422, "half.jpg")


def test_a_truncated_tiff_is_refused(server, tmp_path):
    import rasterio

    noise = np.random.default_rng(0).integers(0, 255, (3, 200, 200), np.uint8)
    path = tmp_path / "cut.tif"
    with rasterio.open(path, "w", driver="GTiff", width=200, height=200, count=3, dtype="uint8") as target:
        target.write(noise)
    for length in (6, 200, len(path.read_bytes()) // 2):
        answer = server.segment(path.read_bytes()[:length], name="cut.tif")
        refused(answer, 422, "cut.tif")
        assert str(server.state.results.folder) not in answer.text


def test_an_upload_over_the_limit_is_refused_before_it_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = "POST /segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        connection.sendall(f"{head}Content-Length: 900000000\r\n\r\n".encode())
        connection.settimeout(10)
        told = b"".join(iter(lambda: connection.recv(4096), b""))
    assert told.startswith(b"HTTP/1.1 413")
    assert b"the upload is over 2 MB" in told


def test_an_upload_without_a_length_is_refused_at_the_limit(server):
    def pieces():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with suppress(httpx.WriteError, httpx.ReadError):  # the server may hang up while the client still sends
        refused(server.client.post("/segment", content=pieces(), headers=headers), 413, "2 MB")


def test_a_slow_upload_is_ended(model, settings):
    impatient = replace(settings, upload_seconds=0.3)
    with (
        running(model, impatient, answer=answer_whole) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        head = "POST /segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--x".encode())
        connection.settimeout(10)
        told = b"".join(iter(lambda: connection.recv(4096), b""))
    assert told.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in told


@pytest.mark.parametrize(
    ("questions", "words"),
    [([""], "empty"), (["  "], "empty"), (["a" * 501], "501"), (["a\0b"], "printed"), (["red?"] * 17, "questions")],
)
def test_questions_have_limits(server, model, questions, words):
    refused(server.segment(png(square()), questions), 422, words)
    assert model.calls == []


def test_a_request_without_questions_is_refused(server):
    refused(server.client.post("/segment", files={"image": ("a.png", png(square()))}), 422, "questions")


@pytest.mark.parametrize("threshold", ["nan", "inf", "-0.1", "1.1", "half", "1e999"])
def test_a_threshold_is_a_number_from_0_to_1(server, threshold):
    refused(server.segment(png(square()), threshold=threshold), 422, "threshold")
    link = server.segment(png(square())).json()["answers"][0]["links"]["mask"].partition("?")[0]
    refused(server.client.get(link, params={"threshold": threshold}), 422, "threshold")


def test_exactly_one_picture_is_asked_about(server):
    refused(server.segment(None), 422, "exactly one", "none")
    refused(server.segment(png(square()), sample="tanks"), 422, "exactly one", "image and sample")


def test_unknown_samples_and_scenes_are_refused(server):
    refused(server.segment(None, sample="moon"), 404, "moon")
    refused(server.segment(None, scene="moon.tif"), 404, "moon.tif")


def test_an_area_needs_coordinates(server):
    refused(server.segment(png(square()), area="1,2,3,4"), 422, "area")


def test_a_task_that_the_model_lacks_is_refused(server):
    refused(server.segment(png(square()), task="poetry"), 422, "task")


@pytest.mark.parametrize(
    "place", ["/results/nothing/0/mask.png", "/results/../../etc/passwd/0/mask.png", "/results/%2e%2e/0/mask.png"]
)
def test_unknown_results_are_not_found(server, place):
    assert server.client.get(place).status_code == 404


def test_an_answer_beyond_the_last_is_not_found(server):
    identity = server.segment(png(square())).json()["id"]
    for number in ("1", "-1"):
        refused(server.client.get(f"/results/{identity}/{number}/mask.png"), 404, number)


def test_other_hosts_and_other_pages_are_refused(server, model):
    refused(server.client.get("/api/info", headers={"Host": "evil.example"}), 400, "host")
    posted = server.client.post(
        "/segment",
        data={"questions": ["red?"]},
        files={"image": ("a.png", png(square()))},
        headers={"Origin": "https://evil.example"},
    )
    refused(posted, 403, "another address")
    assert model.calls == []
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert server.client.get("/health", headers=own).status_code == 200
    assert server.client.get("/health", headers={"Host": "localhost:1"}).status_code == 200


def test_an_exception_of_the_model_is_one_line_and_no_end(server, model, caplog):
    model.error = ZeroDivisionError("secret detail")
    answer = server.segment(png(square()))
    refused(answer, 500, "log")
    assert "secret" not in answer.text
    assert any("model failed" in record.message and record.exc_info for record in caplog.records)
    model.error = None


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_memory_that_does_not_suffice_is_one_line(server, model, error):
    model.error = error
    refused(server.segment(png(square())), 503, "out of memory")
    model.error = None


def test_a_full_queue_says_when_to_ask_again(server, model):
    model.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(server.segment, png(square()))
        wait_until(lambda: model.calls)
        waiting = [pool.submit(server.segment, png(square(41 + n))) for n in range(3)]
        wait_until(lambda: len(server.state.jobs) == 3)
        full = server.segment(png(square()))
        refused(full, 429, "3 requests wait")
        assert int(full.headers["retry-after"]) >= 1
        assert server.client.get("/health").json() == {"status": "ok", "queue": 3, "model": "red"}
        model.gate.set()
        assert [each.result().status_code for each in (first, *waiting)] == [200] * 4
