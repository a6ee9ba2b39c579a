"""Batches, deadlines, clients that go away, expiry, metrics, the end."""

import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import numpy as np
import pytest

from baselines.serve.results import Results
from baselines.serve.settings import RefusedError
from earthreason.geo.answers import ArrayRaster, SceneAnswer, SceneAnswers
from earthreason.geo.grid import GeoGrid
from tests.baselines.serve.fakes import RedModel, answer_whole, png, running, square, wait_until


def hold(server, model, pool):
    """Let the model work on a first request until the gate opens."""
    model.gate.clear()
    first = pool.submit(server.segment, png(square(90, 90)), ["first?"])
    wait_until(lambda: model.calls)
    return first


def test_waiting_questions_about_one_picture_are_asked_together(server, model):
    with ThreadPoolExecutor(8) as pool:
        first = hold(server, model, pool)
        asked = [["red?"], ["nothing?", "red?"], ["other?"]]
        waiting = []
        for questions in asked:
            waiting.append(pool.submit(server.segment, png(square()), questions))
            wait_until(lambda: len(server.state.jobs) == len(waiting))
        model.gate.set()
        told = [each.result().json() for each in waiting]
        assert first.result().status_code == 200
    assert model.calls[1:] == [(1, ("red?", "nothing?", "other?"))]
    assert [[found["question"] for found in each["answers"]] for each in told] == asked
    assert len({each["id"] for each in told}) == 3
    assert all(each["waited"] > 0 for each in told)


def test_small_pictures_with_the_same_questions_are_scored_at_once(server, model):
    with ThreadPoolExecutor(8) as pool:
        hold(server, model, pool)
        waiting = [pool.submit(server.segment, png(square(30 + n, 60, (0, 0, 9, 9)))) for n in range(3)]
        wait_until(lambda: len(server.state.jobs) == 3)
        model.gate.set()
        told = [each.result().json() for each in waiting]
    assert model.calls[1:] == [(3, ("red?",))]
    assert [(each["height"], each["answers"][0]["share"]) for each in told] == [
        (30 + n, pytest.approx(81 / (60 * (30 + n)))) for n in range(3)
    ]


def test_one_broken_picture_leaves_the_others_of_its_batch(server, model):
    noise = png(np.random.default_rng(0).integers(0, 255, (31, 60, 3), np.uint8))
    broken = noise[:-1000] + bytes(1000)
    with ThreadPoolExecutor(8) as pool:
        hold(server, model, pool)
        waiting = [pool.submit(server.segment, each) for each in (png(square(30)), broken, png(square(32)))]
        wait_until(lambda: len(server.state.jobs) == 3)
        model.gate.set()
        assert [each.result().status_code for each in waiting] == [200, 422, 200]


def test_a_request_that_takes_too_long_is_ended(model, settings):
    with running(model, replace(settings, job_seconds=0.5), answer=answer_whole) as server:
        model.gate.clear()
        late = server.segment(png(square()))
        assert (late.status_code, "0.5 s" in late.json()["error"]) == (503, True)
        model.gate.set()
        assert server.segment(png(square())).status_code == 200


def test_the_job_of_a_client_that_went_away_is_dropped(server, model):
    with ThreadPoolExecutor(8) as pool:
        first = hold(server, model, pool)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"http://127.0.0.1:{server.port}/segment",
                data={"questions": ["gone?"]},
                files={"image": ("a.png", png(square()))},
                timeout=0.5,
            )
        job = server.state.jobs._waiting[0]
        wait_until(job.stop.is_set)
        model.gate.set()
        assert first.result().status_code == 200
    assert server.segment(png(square())).status_code == 200
    assert not any("gone?" in questions for _, questions in model.calls)


def test_results_expire(model, settings):
    with running(model, replace(settings, keep_minutes=0.5 / 60), answer=answer_whole) as server:
        link = server.segment(png(square())).json()["answers"][0]["links"]["probability"]
        assert server.client.get(link).status_code == 200
        wait_until(lambda: server.client.get(link).status_code == 404)
        assert "for a while only" in server.client.get(link).json()["error"]
        assert not [each for each in server.state.results.folder.iterdir() if each.is_dir()]


def test_the_oldest_results_make_room(model, settings):
    bytes_of_one = 40 * 60 * (4 + 3)
    with running(model, replace(settings, kept_bytes=2 * bytes_of_one), answer=answer_whole) as server:
        links = [server.segment(png(square())).json()["answers"][0]["links"]["mask"] for _ in range(3)]
        assert [server.client.get(link).status_code for link in links] == [404, 200, 200]
        too_large = server.segment(png(square(200, 200)))
        assert too_large.status_code == 413


def test_ids_cannot_be_guessed(server):
    ids = {server.segment(png(square())).json()["id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(each) >= 22 for each in ids)  # 128 bits in base64


def test_health_answers_while_the_model_works(server, model):
    with ThreadPoolExecutor(2) as pool:
        first = hold(server, model, pool)
        assert server.client.get("/health", timeout=5).json()["status"] == "ok"
        assert server.client.get("/api/info", timeout=10).status_code == 200
        model.gate.set()
        assert first.result().status_code == 200


def test_prometheus_reads_the_metrics(server):
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus-client is not installed")
    server.segment(png(square()), ["red?", "nothing?"])
    server.segment(b"no picture")
    server.client.get("/no/such/page")
    text = server.client.get("/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["earthreason_requests_total", ("path", "/segment"), ("status", "200")] == 1
    assert samples["earthreason_requests_total", ("path", "/segment"), ("status", "415")] == 1
    assert samples["earthreason_requests_total", ("path", "other"), ("status", "404")] == 1
    assert samples["earthreason_questions_total",] == 2
    assert samples["earthreason_batch_questions_count",] == 1
    assert samples["earthreason_batch_questions_sum",] == 2
    assert samples["earthreason_batch_questions_bucket", ("le", "2.0")] == 1
    assert samples["earthreason_batch_questions_bucket", ("le", "1.0")] == 0
    assert samples["earthreason_segment_seconds_bucket", ("le", "+Inf")] == 1
    assert samples["earthreason_queue_length",] == 0


def test_jobs_that_wait_at_the_end_are_refused_and_nothing_stays_on_disk(model, settings):
    with ThreadPoolExecutor(4) as pool:
        with running(model, settings, answer=answer_whole) as server:
            first = hold(server, model, pool)
            waiting = pool.submit(server.segment, png(square()))
            wait_until(lambda: len(server.state.jobs) == 1)
            server.state.jobs.close()
            assert waiting.result().status_code == 503
            assert "shutting down" in waiting.result().json()["error"]
            model.gate.set()
            assert first.result().status_code == 200
            folder = server.state.results.folder
        assert not folder.exists()


def test_models_on_two_devices_share_the_queue(settings):
    first, second = RedModel(), RedModel()
    for each in (first, second):
        each.gate.clear()
    with ThreadPoolExecutor(4) as pool, running([first, second], settings, answer=answer_whole) as server:
        waiting = [pool.submit(server.segment, png(square(30 + n)), [f"red {n}?"]) for n in range(2)]
        wait_until(lambda: first.calls and second.calls)
        for each in (first, second):
            each.gate.set()
        assert [each.result().status_code for each in waiting] == [200, 200]


def test_the_mask_at_one_half_is_that_of_the_model_however_probabilities_were_rounded(tmp_path):
    grid = GeoGrid(1, 4)
    marked = np.array([[True, False, True, False]])
    probability = np.array([[0.5, 0.5, 0.50001, np.nan]], np.float32)
    results = Results(tmp_path, 60, 1 << 20)
    answers = SceneAnswers(grid, (SceneAnswer("red?", 0.1, True, ArrayRaster(grid, marked, probability)),))
    result = results.add(answers, np.zeros((1, 4, 3), np.uint8), "a")
    assert np.array_equal(result.marked(0, 0.5), marked)
    assert np.allclose(result.probability(0), probability, atol=1e-6, equal_nan=True)


def test_a_full_disk_keeps_no_half_results(tmp_path, monkeypatch):
    results = Results(tmp_path, 60, 1 << 20)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    grid = GeoGrid(1, 1)
    answer = SceneAnswer("red?", 0.1, True, ArrayRaster(grid, np.ones((1, 1), bool), np.ones((1, 1), np.float32)))
    with pytest.raises(RefusedError, match="No space left") as caught:
        results.add(SceneAnswers(grid, (answer,)), np.zeros((1, 1, 3), np.uint8), "a")
    assert caught.value.status == 503
    assert [path.name for path in results.folder.iterdir()] == ["lock"]
    assert len(results) == 0
