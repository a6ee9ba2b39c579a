"""Build the region kernel in C; without a compiler the package installs all the same and uses numba."""

import sys

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "earthreason.masks._regions",
            ["earthreason/masks/_regions.c"],
            depends=[f"earthreason/masks/{name}.h" for name in ("decode", "regions", "batch")],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=["/std:c11", "/O2"] if sys.platform == "win32" else ["-O3", "-pthread"],
            extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
