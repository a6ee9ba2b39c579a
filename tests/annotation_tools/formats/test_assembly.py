"""The rules that hold for every format: which marks become which task's drawing, and what is refused."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.errors import DrawingError
from annotation_tools.formats.assembly import assemble
from annotation_tools.formats.base import AS_STATED, AnnotatedImage, Mark, Patch, ReadOptions
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError
from earthreason.masks.rle import encode_mask

from ..conftest import box

SIZE = (20, 30)


def task(name, picture="a.png", **facts):
    return AnnotationTask(name, picture, *SIZE, **facts)


def mark(label="pond", mask=None, place="file, shape 1", **facts):
    return Mark(label, Patch(box(SIZE, 1, 1, 4, 5) if mask is None else mask).drawn, place, **facts)


def refused(*_):
    raise AssertionError("a mark that nobody asked for was rasterised")


def image(*marks, names=("a.png",), place="file, image 'a.png'", **facts):
    return AnnotatedImage(names, marks, place, **facts)


def read(entries, tasks=None, **options):
    tasks = {"a": task("a")} if tasks is None else {one.task: one for one in tasks}
    return assemble(entries, tasks, ReadOptions(**options), "file")


def test_only_marks_of_the_category_are_rasterised():
    entry = image(mark(), Mark("mill", refused, "there"))
    assert read([entry], category="pond").drawings[0].category == "pond"
    assert read([entry], category="pond").skipped == {"shapes of other labels": 1}


def test_images_of_other_workspaces_are_neither_rasterised_nor_measured():
    strange = image(Mark("pond", refused, "there"), names=("z.png",), size=("x", -1))
    reading = read([strange, image(mark())])
    assert reading.strangers == ["z.png"]
    assert len(reading.drawings) == 1


def test_a_mark_without_a_pixel_is_never_no_target():
    for options in ({}, {"unmarked_is_empty": True}, {"category": "pond"}):
        with pytest.raises(DataFormatError, match="file, shape 1: marks no pixel"):
            read([image(mark(mask=np.zeros(SIZE, bool)))], **options)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), IndexError("x"), OverflowError("x"), ValueError("x")])
def test_a_broken_mark_is_one_line_with_its_place(error):
    def draw(height, width):
        raise error

    with pytest.raises(DataFormatError, match=r"^file, shape 1: not a shape \(.*x.*\)$"):
        read([image(Mark("pond", draw, "file, shape 1"))])


def test_no_target_beside_shapes_of_any_label_is_a_contradiction():
    with pytest.raises(DataFormatError, match="one of them is wrong"):
        read([image(mark("mill"), says_empty=True)], category="pond")


def test_a_choice_for_the_image_is_not_undrawn_because_another_category_is_read():
    entry = image(mark(None), said="pond")
    assert read([entry], category="mill").drawings == []
    assert read([entry], category="pond").drawings[0].category == "pond"
    with pytest.raises(DataFormatError, match="says 'pond', but nothing is drawn"):
        read([image(said="pond")])


def test_a_resized_image_matters_where_something_was_said_about_it():
    for entry in (image(mark(), size=(40, 60)), image(says_empty=True, size=(40, 60))):
        with pytest.raises(DataFormatError, match="drawn on 60 x 40 pixels, but the image is 30 x 20"):
            read([entry])
    assert read([image(size=(40, 60))]).drawings == []
    assert read([image(mark("mill"), size=(40, 60))], category="pond").drawings == []


def test_all_faults_are_told_together():
    empty = partial(mark, mask=np.zeros(SIZE, bool))
    entries = [image(empty(place="one")), image(empty(place="two"), names=("b.png",))]
    with pytest.raises(DrawingError) as caught:
        read(entries, [task("a"), task("b", "b.png")])
    assert "one: marks no pixel" in str(caught.value)
    assert "two: marks no pixel" in str(caught.value)


def test_two_images_of_a_file_for_one_of_the_workspace_are_an_error_unless_the_path_decides():
    entries = [image(mark(), names=("north/a.png",)), image(mark(), names=("south/a.png",))]
    with pytest.raises(DataFormatError, match=r"a: several images of the file fit it \(north/a\.png, south/a\.png\)"):
        read(entries)
    reading = read(entries, [task("a", origin="south/a.png")])
    assert len(reading.drawings) == 1
    assert reading.strangers == ["north/a.png"]


def test_two_drawings_of_nobody_are_an_error_and_of_two_people_are_not():
    with pytest.raises(DataFormatError, match="a: drawn more than once, in one and two; keep one of them"):
        read([image(mark(), place="one"), image(mark(), place="two")])
    anna = {"annotator": "anna", "key": "5"}
    with pytest.raises(DataFormatError, match="a: drawn more than once, in one and two"):
        read([image(mark(), place="one", facts=anna), image(mark(), place="two", facts=anna)])
    assert len(read([image(mark(), facts=anna), image(mark(), facts=anna | {"key": "6"})]).drawings) == 2
    people = [image(mark(), facts={"annotator": name}) for name in ("anna", "ben")]
    assert len(read(people).drawings) == 2


def test_shapes_go_to_the_target_of_their_label_in_any_case():
    tasks = [task("a1", target="Pond"), task("a2", category="mill")]
    drawings = {drawing.task: drawing for drawing in read([image(mark("pond"), mark("MILL"))], tasks).drawings}
    assert set(drawings) == {"a1", "a2"}
    with pytest.raises(DataFormatError, match=r"none of the image's targets is 'road' \(Pond, mill\)"):
        read([image(mark("road"))], tasks)


def test_a_label_of_two_targets_is_an_error_that_names_both():
    tasks = [task("a1", category="pond", target="north"), task("a2", category="pond", target="south")]
    for options in ({}, {"target": "pond"}, {"new_targets": True}):
        with pytest.raises(DataFormatError, match=r"fits several targets of the image \(a1, a2\)"):
            read([image(mark("pond"))], tasks, **options)
    (drawing,) = read([image(mark("pond"))], tasks, target="South").drawings
    assert drawing.task == "a2"


def test_new_targets_share_no_id():
    reading = read([image(mark("a/b")), image(mark("mill"), names=("b.png",))], [task("a"), task("b", "b.png")],
                   new_targets=True)  # fmt: skip
    assert sorted(reading.tasks) == ["a__a-b", "b__mill"]
    with pytest.raises(DataFormatError, match="'a:b' would have the ID 'a__a-b', which 'a/b' has"):
        read([image(mark("a/b"), mark("a:b"))], new_targets=True)
    with pytest.raises(DataFormatError, match="would have the ID 'a__mill'"):
        read([image(mark("mill"))], [task("a"), task("a__mill", "a__mill.png")], new_targets=True)


def test_labels_that_differ_in_case_are_one_new_target():
    entries = [image(mark("Pond"), facts={"annotator": "anna"}), image(mark("pond"), facts={"annotator": "ben"})]
    reading = read(entries, new_targets=True)
    assert list(reading.tasks) == ["a__Pond"]
    assert [drawing.task for drawing in reading.drawings] == ["a__Pond", "a__Pond"]
    assert {drawing.category for drawing in reading.drawings} == {"Pond"}
    one = read([image(mark("Pond"), mark("pond"))], new_targets=True)
    assert [(drawing.task, drawing.category) for drawing in one.drawings] == [("a__Pond", "Pond")]


def test_unmarked_images_with_lines_only_are_not_empty():
    assert read([image(skipped=Counter(polyline=1))], unmarked_is_empty=True).drawings == []
    assert read([image()], unmarked_is_empty=True).drawings[0].is_empty
    assert read([image()]).drawings == []


patches = st.tuples(st.integers(0, 5), st.integers(0, 7)).flatmap(
    lambda corner: st.builds(
        Patch,
        st.tuples(st.integers(1, 6 - corner[0]), st.integers(1, 8 - corner[1])).flatmap(lambda s: arrays(bool, s)),
        st.just(corner[0]),
        st.just(corner[1]),
    )
)


@given(parts=st.lists(patches.filter(lambda patch: patch.mask.any()), min_size=1, max_size=5))
def test_instances_are_the_unions_of_their_groups_and_all_together_the_mask(parts):
    marks = [Mark("pond", part.drawn, "here", group=number % 2) for number, part in enumerate(parts)]
    one = AnnotationTask("a", "a.png", 6, 8, separate=True)
    (drawing,) = assemble([image(*marks)], {"a": one}, AS_STATED, "file").drawings
    whole = np.zeros((len(parts), 6, 8), bool)
    for number, part in enumerate(parts):
        high, wide = part.mask.shape
        whole[number, part.top : part.top + high, part.left : part.left + wide] = part.mask
    assert drawing.segmentation == encode_mask(whole.any(axis=0))
    assert drawing.targets == [encode_mask(whole[start::2].any(axis=0)) for start in range(min(2, len(parts)))]
