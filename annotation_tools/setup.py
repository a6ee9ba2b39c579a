"""Name this folder `earthreason_annotation` when it is installed; in the checkout it is `annotation_tools`."""

from setuptools import find_packages, setup

setup(
    packages=["earthreason_annotation", *(f"earthreason_annotation.{name}" for name in find_packages())],
    package_dir={"earthreason_annotation": "."},
)
