"""Zero-shot model: a vision-language model points, Segment Anything makes the mask."""
