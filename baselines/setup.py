"""Name this folder `earthreason_baselines` when it is installed; in the checkout it is `baselines`."""

from setuptools import find_packages, setup

setup(
    packages=["earthreason_baselines", *(f"earthreason_baselines.{name}" for name in find_packages())],
    package_dir={"earthreason_baselines": "."},
)
