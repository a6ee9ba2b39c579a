"""`earthreason-baselines segment`: answer questions about a scene of any size."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.errors import EarthReasonError
from earthreason.files import read_text, refuse_folder
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

from .cli_completions import complete_model
from .cli_options import CHECKPOINT_HELP, DeviceOption, DtypeOption, TaskOption, ThresholdOption, complete_checkpoint

if TYPE_CHECKING:
    from earthreason.geo.answers import SceneAnswer, SceneAnswers
    from earthreason.geo.asking import Progress
    from earthreason.geo.grid import GeoGrid
    from earthreason.geo.layers import AnswerLayer
    from earthreason.geo.regions import Region
    from earthreason.geo.scene import Scene

logger = logging.getLogger("earthreason.baselines")
HECTARE = 10_000
"""Square metres."""


def segment(
    scene: Annotated[Path, typer.Argument(help="Raster or picture: GeoTIFF, VRT, JPEG 2000, PNG, JPEG, ...")],
    questions: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", help="Questions about the scene.")
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            help="File to write; repeat it for more. A picture (.png, .jpg) shows the scene with the mask over it; "
            ".tif is the mask; .gpkg, .geojson, .shp, .fgb and .kml are polygons.",
        ),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", help=CHECKPOINT_HELP, autocompletion=complete_checkpoint)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            show_default="the checkpoint's",
            help="Model to run, or your own as MODULE:CLASS.",
            autocompletion=complete_model,
        ),
    ] = None,
    questions_file: Annotated[
        Path | None, typer.Option("--questions", help="Text file with further questions, one a line.")
    ] = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="Mask to write: .png or .tif.")] = None,
    probability: Annotated[
        Path | None, typer.Option("--probability", help="Probabilities to write: .tif, from 0 to 1.")
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="JSON to write about the answers; - prints it instead of text.")
    ] = None,
    answer: Annotated[bool, typer.Option("--answer", help="Also give the language model's answer in words.")] = False,
    aoi: Annotated[
        str | None,
        typer.Option(
            "--aoi",
            help="Area to answer: west,south,east,north in degrees, pixels:left,top,width,height, or a file of "
            "polygons.",
        ),
    ] = None,
    aoi_crs: Annotated[
        str | None,
        typer.Option("--aoi-crs", help="CRS of the area, such as EPSG:32632, or `scene` for that of the scene."),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile",
            min=0,
            show_default="the model's, for scenes over twice as large",
            help="Side of the tiles in pixels; 0 shows the model the whole scene, scaled down.",
        ),
    ] = None,
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, max=0.9, help="Share of a tile that overlaps the next.")
    ] = 0.25,
    gsd: Annotated[
        float | None,
        typer.Option(
            "--gsd",
            show_default="the scene's, or the nearest that the model knows",
            help="Ground resolution to work at, metres per pixel.",
        ),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option("--bands", help="Bands for red, green and blue, such as 4,3,2, or one for grey."),
    ] = None,
    stretch: Annotated[
        str | None,
        typer.Option("--stretch", help="What becomes black and white: LOW%,HIGH% of each band, LOW,HIGH or none."),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="Probability above which a pixel is marked.")
    ] = 0.5,
    simplify: Annotated[
        float, typer.Option("--simplify", min=0, help="Metres by which polygons may be simplified; 0 keeps all edges.")
    ] = 0.0,
    min_area: Annotated[
        float, typer.Option("--min-area", min=0, help="Square metres below which polygons are left out.")
    ] = 0.0,
    no_target_threshold: ThresholdOption = None,
    task: TaskOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "float32",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Questions per batch.")] = 8,
) -> None:
    """Answer questions about a scene of any size. A stopped run goes on when it is started again.

    Example: earthreason-baselines segment harbour.jpg "where could a ship tie up?" --checkpoint tiny --out overlay.png

    Example: earthreason-baselines segment scene.tif "what burns first?" --checkpoint DIR --out answer.gpkg --mask m.tif
    """
    from earthreason.geo.bands import Stretch, parse_bands
    from earthreason.geo.layers import layer_of
    from earthreason.geo.planning import Settings, check_questions, make_plan
    from earthreason.geo.predictor import GeoPredictor
    from earthreason.geo.reading import open_scene

    from .segment_models import load_model
    from .segment_outputs import Outputs, write_outputs

    asked = check_questions([*(questions or []), *_read_questions(questions_file)])
    outputs = Outputs(tuple(out or ()), mask, probability)
    if not outputs.all and json_out is None:
        raise EarthReasonError("nothing to write; give --out, --mask, --probability or --json")
    if json_out is not None:
        refuse_folder(json_out)
    settings = Settings(
        tile=tile,
        overlap=overlap,
        gsd=gsd,
        bands=None if bands is None else parse_bands(bands),
        stretch=None if stretch is None else Stretch.parse(stretch),
        threshold=threshold,
        aoi_crs=aoi_crs,
        words=answer,
    )
    with open_scene(scene, bands=settings.bands, stretch=settings.stretch) as opened:
        outputs.check(opened.grid)
        read = [scene, *getattr(opened, "files", ()), *(Path(path) for path in (questions_file, aoi) if path)]
        outputs.check_names(len(asked), json_out, read)
        make_plan(opened, None, aoi, settings, len(asked))
        if (simplify or min_area) and not _is_placed(opened.grid):
            raise EarthReasonError(f"--simplify and --min-area are in metres, and {scene} has no CRS; leave them out")
        predictor = load_model(model, _options(checkpoint, device, dtype, batch_size, no_target_threshold, task))
        facts = {"dtype": dtype, "task": str(getattr(predictor, "task", ""))}
        geo = GeoPredictor(predictor, checkpoint or "", {name: value for name, value in facts.items() if value})
        work = outputs.all[0].with_name(f"{outputs.all[0].name}.partial") if outputs.all else None
        with (
            _stopped_runs_go_on(work),
            _progress() as progress,
            geo.answer_opened(opened, scene, asked, aoi, settings, work=work, progress=progress) as answers,
        ):
            layer = None
            if outputs.needs_layer():
                layer = layer_of(answers, simplify=simplify, min_area=min_area)
            written = write_outputs(outputs, opened, answers, layer)
            layer = layer or _count_regions(answers, min_area)
            limit = float(getattr(predictor, "no_target_threshold", 0.5))
            lines = _lines(answers, layer, written, limit)
            if json_out is not None:
                report_json(json_out, _report(opened, answers, lines))
                written.append(("json", None, json_out))
            if str(json_out) != "-":
                _tell(answers, lines, written, limit)


@contextmanager
def _stopped_runs_go_on(work: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if work is not None and work.is_dir():
            logger.warning("stopped; what is finished is in %s, and the same command goes on from there", work)
        raise


def _count_regions(answers: SceneAnswers, min_area: float) -> AnswerLayer | None:
    """Return the regions of answers of moderate size about a placed scene, to tell their number and area."""
    from earthreason.geo.layers import layer_of

    from .segment_outputs import MOST_DRAWN

    if not _is_placed(answers.grid) or answers.grid.width * answers.grid.height > MOST_DRAWN:
        return None
    try:
        return layer_of(answers, min_area=min_area)
    except EarthReasonError as error:  # nobody asked for polygons, and all outputs are written
        logger.warning("regions are not counted: %s", error)
        return None


def _is_placed(grid: GeoGrid) -> bool:
    return grid.transform is not None and grid.crs is not None


def _options(
    checkpoint: str | None, device: str, dtype: str, batch_size: int, threshold: float | None, task: Any
) -> Any:
    from .registry import PredictorOptions

    return PredictorOptions(
        checkpoint=checkpoint,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        no_target_threshold=threshold,
        task=None if task is None else task.value,
    )


def _read_questions(path: Path | None) -> list[str]:
    if path is None:
        return []
    if not path.is_file():
        raise EarthReasonError(f"--questions {path}: there is no such file")
    return [line for line in read_text(path).splitlines() if line.strip()]


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a function that shows a bar once there is more than one tile."""
    bars: list[Any] = []

    with ExitStack() as opened:

        def tell(done: int, total: int) -> None:
            if total > 1 and not bars:
                bars.append(opened.enter_context(progress_bar(total=total, initial=done, unit="tile")))
            for bar in bars:
                bar.update(done - bar.n)
                if done == total:
                    bar.close()

        yield tell


@dataclass(frozen=True)
class _Line:
    """What is said of one question."""

    question: str
    has_target: bool
    no_target_score: float
    threshold: float
    score: float | None
    share: float
    area_m2: float | None
    regions: int | None
    words: str | None
    outputs: list[str]


Written = list[tuple[str, int | None, Path]]


def _lines(answers: SceneAnswers, layer: AnswerLayer | None, written: Written, limit: float) -> list[_Line]:
    lines = []
    begin = 0
    for number, answer in enumerate(answers.answers):
        summary = None if layer is None else layer.summaries[number]
        score = None
        if answer.has_target:
            regions = () if layer is None or summary is None else layer.regions[begin : begin + summary.regions]
            score = _mean_score(answer, regions)
        begin += 0 if summary is None else summary.regions
        lines.append(
            _Line(
                question=answer.question,
                has_target=answer.has_target,
                no_target_score=round(answer.no_target_score, 6),
                threshold=limit,
                score=score,
                share=answer.share,
                area_m2=None if summary is None else summary.area_m2,
                regions=None if summary is None else summary.regions,
                words=answer.text,
                outputs=[str(path) for _, about, path in written if about in (None, number)],
            )
        )
    return lines


def _mean_score(answer: SceneAnswer, regions: Sequence[Region]) -> float | None:
    """Return the mean probability of the marked pixels: from all regions, else, if some were left out, from pixels."""
    from .segment_outputs import mean_probability

    pixels = sum(region.pixels for region in regions)
    if not pixels or pixels != answer.marked:
        return mean_probability(answer.raster)
    return sum(region.score * region.pixels for region in regions) / pixels


def _report(scene: Scene, answers: SceneAnswers, lines: list[_Line]) -> Any:
    from earthreason.geo.resolution import ground_resolution

    grid = answers.grid
    return {
        **answers.facts,
        "scene": scene.name,
        "grid": {
            "width": grid.width,
            "height": grid.height,
            "transform": grid.transform,
            "crs": grid.crs,
            "gsd": ground_resolution(answers.scene_grid or grid),
            "scene_gsd": ground_resolution(scene.grid),
        },
        "answers": [vars(line) for line in lines],
    }


def _tell(answers: SceneAnswers, lines: list[_Line], written: Written, limit: float) -> None:
    console = stdout()
    whole = answers.scene_grid is None or answers.window == answers.scene_grid.whole
    for line in lines:
        if len(answers.answers) > 1:
            console.print(f"{line.question}", markup=False, soft_wrap=True)
        found = f"target: {line.share:.1%} of the {'image' if whole else 'area'}" if line.has_target else "no target"
        if not line.has_target and line.no_target_score <= limit:
            found += f" (no pixel above the probability {answers.facts.get('threshold', '0.5')})"
        if line.has_target and _is_placed(answers.grid) and line.regions is not None:
            count = count_of(line.regions, "region")
            area = "" if line.area_m2 is None else f" ({line.area_m2 / HECTARE:,.2f} ha)"
            found += f"{area} in {count}"
        score = f"no-target score {line.no_target_score:.3f}, threshold {limit:.3f}"
        console.print(f"{found}; {score}", soft_wrap=True)
        if line.words is not None:
            console.print(f"answer: {line.words}", markup=False, soft_wrap=True)
    for kind, _, path in written:
        console.print(f"{kind}: {path}", markup=False, soft_wrap=True)
