"""The fault of a broken file, wherever reading finds it."""

from earthreason.data.reader import read_all
from earthreason.data.sources import open_folder_or_file
from earthreason.errors import DataFormatError


def fault_in(path):
    """The fault of a file: the error that opening raises, or that of its only sample, which is left out."""
    try:
        source = open_folder_or_file(path)
        source.tolerance = None
        assert not list(read_all(source))
    except DataFormatError as error:
        return str(error)
    [omission] = source.omissions
    return omission.message
