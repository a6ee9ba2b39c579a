"""Exact codecs between masks and the files of annotation tools."""
