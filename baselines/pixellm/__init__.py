"""PixelLM (arXiv 2312.02228): a codebook of mask tokens at several scales and a light decoder, no SAM."""
