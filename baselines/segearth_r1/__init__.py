"""SegEarth-R1 (arXiv 2504.09644): the reference model of EarthReason.

Read it in the order of the data: `processing` makes tensors of an image and a question, `vision` turns the image into
features, `connector` into 64 visual tokens for the language model, `description` the language model's states into one
query, `pixel_decoder` and `mask_decoder` that query into a mask. `modeling` puts them together.
"""
