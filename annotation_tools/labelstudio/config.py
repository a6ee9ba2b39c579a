"""The labelling configuration of our projects, and a check that edits have not broken it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Tree

from earthreason.errors import DataFormatError, EarthReasonError

from ..formats.base import NO_TARGET
from ..formats.labelstudio import BOX, BRUSH, CATEGORY, CLICK, IMAGE, LABELS, POLYGON, UNNAMED, WAND
from ..formats.xml import parse_xml

_DRAWN = ("BrushLabels", "PolygonLabels", "MagicWand")
_COLOUR = "#D627A0"
_REQUIRED = {IMAGE: "Image", BRUSH: "BrushLabels", POLYGON: "PolygonLabels", CATEGORY: "Choices"}


def label_config(categories: Sequence[str]) -> str:
    """Build a configuration: brush, polygon and magic wand for one target, and a required choice of its category.

    The last choice is "no target". Facts are in headers without a name, because Label Studio accepts uploaded pictures
    only if a single named tag has data.
    """
    view = Tree.Element("View")
    Tree.SubElement(view, "Header", value="$asked", size="5")
    Tree.SubElement(view, "Header", value="$facts", size="6", style="font-size: 14px; font-weight: 400")
    names = [*categories] if categories else [UNNAMED]
    choices = Tree.SubElement(
        view,
        "Choices",
        name=CATEGORY,
        toName=IMAGE,
        choice="single",
        showInline="true",
        required="true",
        requiredMessage=f"Choose the category, or '{NO_TARGET}'",
    )
    for name in (*names, NO_TARGET):
        Tree.SubElement(choices, "Choice", value=name)
    row = Tree.SubElement(view, "View", style="display: flex; gap: 1rem")
    for tag, name in (("BrushLabels", BRUSH), ("PolygonLabels", POLYGON)):
        labels = Tree.SubElement(row, tag, name=name, toName=IMAGE)
        Tree.SubElement(labels, "Label", value=name, background=_COLOUR, hotkey=name[0])
    Tree.SubElement(view, "MagicWand", name=WAND, toName=IMAGE)
    Tree.SubElement(
        view,
        "Image",
        name=IMAGE,
        value=f"${IMAGE}",
        zoom="true",
        zoomControl="true",
        rotateControl="false",
        brightnessControl="true",
        contrastControl="true",
        smoothing="false",
        crossOrigin="anonymous",
    )
    Tree.indent(view)
    return Tree.tostring(view, encoding="unicode")


def categories_of(config: str) -> list[str]:
    """Return the categories that a valid configuration offers, without "no target"."""
    names = [choice.get("value") for choice in _category_choices(parse_xml(config, "the configuration"))]
    return [name for name in names if name and name != NO_TARGET]


def with_categories(config: str, categories: Sequence[str]) -> str:
    """Return a valid configuration with other categories; "no target" stays last, and other edits stay too."""
    root = parse_xml(config, "the configuration")
    choices = _category_choices(root)
    by_name = {choice.get("value"): choice for choice in choices}
    for choice in list(choices):
        choices.remove(choice)
    for name in (*categories, NO_TARGET):
        there = by_name.get(name)
        choices.append(Tree.Element("Choice", value=name) if there is None else there)
    Tree.indent(root)
    return Tree.tostring(root, encoding="unicode")


def _category_choices(root: Tree.Element) -> Tree.Element:
    return next(element for element in root.iter("Choices") if element.get("name") == CATEGORY)


def check_config(config: str, place: str) -> None:
    """Check that an edited configuration still gives readable annotations; more categories are allowed.

    Raises:
        EarthReasonError: the configuration cannot be read, or lacks a part; the message names it.
    """
    remedy = "restore it with `masks start --restore-config`; existing annotations stay on the server"
    try:
        root = parse_xml(config, place)
    except DataFormatError as error:
        raise EarthReasonError(f"{place}: the labelling configuration cannot be read ({error}); {remedy}") from None
    tags = {element.get("name"): element.tag for element in root.iter() if element.get("name")}
    faults = [f"<{tag} name={name!r}>" for name, tag in _REQUIRED.items() if tags.get(name) != tag]
    shapes = [e for e in root.iter() if e.get("name") in (BRUSH, POLYGON)]
    labels = {label.get("value") for element in shapes for label in element.iter("Label")}
    choices = {choice.get("value") for choice in root.iter("Choice")}
    if not faults and labels != set(LABELS):
        faults.append(f"{BRUSH!r} and {POLYGON!r} as the only labels of brush and polygon")
    if not faults and NO_TARGET not in choices:
        faults.append(f"the choice {NO_TARGET!r}")
    if faults:
        raise EarthReasonError(
            f"{place}: the labelling configuration was edited and lacks {', '.join(faults)}; {remedy}"
        )


def with_click_tools(config: str) -> str:
    """Add the tools for clicks and boxes that a model answers; return a configuration that has them unchanged.

    They are shown only while "Auto-Annotation" is on. Brush, polygon and wand stay tools for people: without
    `smart="false"` Label Studio would send each of their strokes to the model, too.

    Raises:
        EarthReasonError: the configuration cannot be read, or has no image.
    """
    root = parse_xml(config, "labelling configuration")
    names = {element.get("name") for element in root.iter()}
    if {CLICK, BOX} <= names:
        return config
    parents = {child: parent for parent in root.iter() for child in parent}
    image = next((element for element in root.iter("Image") if element.get("name") == IMAGE), None)
    if image is None or image not in parents:
        raise EarthReasonError(f"the labelling configuration has no <Image name={IMAGE!r}>, so a model cannot help")
    for element in root.iter():
        if element.get("toName") == IMAGE and element.tag in _DRAWN:
            element.set("smart", "false")
    parent = parents[image]
    place = list(parent).index(image)
    for tag, name in (("Rectangle", BOX), ("KeyPoint", CLICK)):
        if name not in names:
            parent.insert(place, Tree.Element(tag, name=name, toName=IMAGE, smart="true", smartOnly="true"))
    Tree.indent(root)
    return Tree.tostring(root, encoding="unicode")
