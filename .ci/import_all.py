"""Import every module of the packages named: `import_all.py [--without torch] PACKAGE...`.

With `--without NAME` a module may fail for want of NAME, which must then be absent, and for nothing else.
"""

import argparse
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator


def module_names(package: str) -> Iterator[str]:
    """Name the modules of a package, but for programs, which run when imported."""
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, f"{package}."):
        if found.name.rpartition(".")[2] not in ("__main__", "setup"):
            yield found.name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--without", action="append", default=[])
    arguments = parser.parse_args()
    present = [name for name in arguments.without if importlib.util.find_spec(name)]
    if present:
        sys.exit(f"{', '.join(present)} is installed here, so nothing may fail for want of it")
    imported = lacking = broken = 0
    for package in arguments.packages:
        for name in module_names(package):
            try:
                importlib.import_module(name)
                imported += 1
            except Exception as error:
                if isinstance(error, ModuleNotFoundError) and error.name in arguments.without:
                    lacking += 1
                else:
                    broken += 1
                    print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{imported} modules imported, {lacking} need {' or '.join(arguments.without) or 'nothing else'}")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
