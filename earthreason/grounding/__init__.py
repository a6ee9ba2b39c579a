"""Answers in words: boxes and points that vision-language models write, as regions, masks and scores."""
