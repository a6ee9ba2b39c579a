"""The zero-shot line: a vision-language model points, Segment Anything makes the mask."""
