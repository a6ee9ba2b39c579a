"""Write the same shapes in several formats with ogr2ogr, and record what gdal_rasterize burns in `burnt.json`.

Run with the programs of Debian's gdal-bin on the path: python make.py. The grid is 64 x 48 pixels of half a metre in
EPSG:32632; `burnt.json` has a string of 0 and 1 for each row, for each category and for all shapes.
"""

import json
import random
import subprocess
from math import cos, pi, sin
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, HEIGHT, METRES, LEFT, TOP = 64, 48, 0.5, 500_000, 5_300_000
EXTENT = (LEFT, TOP - HEIGHT * METRES, LEFT + WIDTH * METRES, TOP)


def gdal(program, *arguments):
    subprocess.run([program, "-q", *map(str, arguments)], check=True, cwd=HERE)


def ring(middle, radius, corners, chance):
    """Return a star-shaped ring in world coordinates about a pixel."""
    x, y = middle
    turns = [2 * pi * index / corners for index in range(corners)]
    reach = [radius * chance.uniform(0.5, 1) for _ in turns]
    points = [[x + r * cos(turn), y + r * sin(turn)] for r, turn in zip(reach, turns, strict=True)]
    world = [[round(LEFT + METRES * x, 4), round(TOP - METRES * y, 4)] for x, y in points]
    return [*world, world[0]]


def shapes():
    chance = random.Random(7)
    features = []
    for number in range(40):
        middle = chance.uniform(-3, WIDTH + 3), chance.uniform(-3, HEIGHT + 3)
        radius = chance.choice([2, 4, 9])
        rings = [ring(middle, radius, 12, chance)]
        if number % 5 == 0:
            rings.append(ring(middle, radius * 0.4, 7, chance))
        label = ("pond", "Gewässer")[number % 2]
        geometry = {"type": "Polygon", "coordinates": rings}
        features.append({"type": "Feature", "properties": {"CLASS": label, "code": number % 2}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


def burn(name, *options):
    grid = ["-te", *EXTENT, "-tr", METRES, METRES, "-ot", "Byte", "-of", "ENVI"]
    gdal("gdal_rasterize", "-burn", 1, *options, *grid, name, "burnt.raw")
    content = (HERE / "burnt.raw").read_bytes()
    return ["".join(map(str, content[row * WIDTH : (row + 1) * WIDTH])) for row in range(HEIGHT)]


def main():
    (HERE / "shapes.geojson").write_text(json.dumps(shapes(), ensure_ascii=False))
    gdal("ogr2ogr", "-f", "FlatGeobuf", "shapes.fgb", "shapes.geojson")
    gdal("ogr2ogr", "-f", "ESRI Shapefile", "-lco", "ENCODING=UTF-8", "shapes.shp", "shapes.geojson")
    gdal("ogr2ogr", "-f", "KML", "-dsco", "NameField=CLASS", "shapes.kml", "shapes.geojson")
    degrees = ["-t_srs", "EPSG:4326", "-dim", "XYZ", "-zfield", "code"]
    gdal(
        "ogr2ogr", "-f", "GPKG", *degrees, "-where", "CLASS = 'pond'", "-nln", "ponds", "layers.gpkg", "shapes.geojson"
    )
    more = ["-update", "-where", "code = 1", "-nln", "waters", "layers.gpkg", "shapes.geojson"]
    gdal("ogr2ogr", "-f", "GPKG", "-lco", "SPATIAL_INDEX=NO", *degrees, "-select", "code", *more)
    burnt = {
        "all": burn("shapes.geojson"),
        "pond": burn("shapes.geojson", "-where", "CLASS = 'pond'"),
        "Gewässer": burn("shapes.geojson", "-where", "CLASS = 'Gewässer'"),
    }
    version = subprocess.run(["gdalinfo", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    (HERE / "burnt.json").write_text(
        json.dumps({"made_by": version, "burnt": burnt}, indent=1, ensure_ascii=False) + "\n"
    )
    for path in [*HERE.glob("burnt.raw*"), *HERE.glob("burnt.hdr")]:
        path.unlink()


if __name__ == "__main__":
    main()
