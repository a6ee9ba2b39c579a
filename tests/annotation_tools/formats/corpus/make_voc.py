"""Make folders of Pascal VOC segmentation. Datumaro, through which CVAT exports them too, writes and reads them.

pip install datumaro==1.13.12 && python make_voc.py
"""

import shutil

import datumaro as dm
import numpy as np
from cases import HEIGHT, HERE, WIDTH, Cases, blank
from datumaro.components.annotation import AnnotationType
from datumaro.components.media import Image

cases = Cases("voc", f"datumaro {dm.__version__}")


def masks_of(dataset, label):
    """Return the union of the masks of a label by image, and each mask."""
    names = dataset.categories()[AnnotationType.label]
    groups = {item.id: [a.image for a in item.annotations if names[a.label].name == label] for item in dataset}
    return {name: np.maximum.reduce(several) for name, several in groups.items()}, groups


def voc(name, colours, apply_colormap=True, **options):
    """Let Datumaro write a folder of Pascal VOC segmentation, and read it back."""
    labels = list(colours) if colours else ["aeroplane", "boat"]
    items = []
    for number, image in enumerate("ab"):
        first = blank()
        first[4 : 15 + number, 3:12] = 1
        second = blank()
        second[2:20, 18:29] = 1
        third = blank()
        third[16:22, 3:9] = 1
        items.append(
            dm.DatasetItem(
                image,
                subset="train",
                media=Image.from_numpy(np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
                annotations=[
                    dm.Mask(first, label=0, id=1, group=1),
                    dm.Mask(second, label=1, id=2, group=2),
                    dm.Mask(third, label=0, id=3, group=3),
                ],
            )
        )
    dataset = dm.Dataset.from_iterable(items, categories=labels)
    folder = HERE / "voc" / name
    shutil.rmtree(folder, ignore_errors=True)
    label_map = {"background": [(0, 0, 0), [], []]} | {label: [colour, [], []] for label, colour in colours.items()}
    dataset.export(
        str(folder), "voc_segmentation", label_map=label_map, apply_colormap=apply_colormap, save_media=False
    )
    for category in labels:
        read = dm.Dataset.import_from(str(folder), "voc_segmentation")
        whole, groups = masks_of(read, category)
        kind = {"shapes of other labels": sum(len(masks_of(read, other)[1][i]) for other in labels for i in "ab")}
        kind["shapes of other labels"] -= sum(map(len, groups.values()))
        cases.add(f"voc/{name}", whole, kind, groups, category=category, instances=True)


voc("own-colours", {"pond": (10, 200, 30), "mill": (250, 5, 128)})
voc("palette-colours", {"pond": (128, 0, 0), "mill": (0, 128, 0)})
cases.write()
