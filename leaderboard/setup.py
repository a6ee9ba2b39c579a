"""Name this folder `earthreason_leaderboard` when it is installed; in the checkout it is `leaderboard`."""

from setuptools import find_namespace_packages, setup

# Folders of templates, pictures and configurations count as packages too, so that package-data reaches into them.
_PACKAGES = find_namespace_packages(exclude=["build", "build.*", "*__pycache__"])

setup(
    script_name="setup.py",  # which setuptools leaves out of the package; pip calls it by another name
    packages=["earthreason_leaderboard", *(f"earthreason_leaderboard.{name}" for name in _PACKAGES)],
    package_dir={"earthreason_leaderboard": "."},
)
