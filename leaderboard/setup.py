"""Name this folder `earthreason_leaderboard` when it is installed; in the checkout it is `leaderboard`."""

from setuptools import find_packages, setup

setup(
    packages=["earthreason_leaderboard", *(f"earthreason_leaderboard.{name}" for name in find_packages())],
    package_dir={"earthreason_leaderboard": "."},
)
