"""SegEarth-R1 (arXiv 2504.09644): the reference model of EarthReason.

Read it in the order of the data: `processing` makes tensors from image and question, `vision` computes image features,
`connector` turns them into 64 visual tokens for the language model, `description` makes one query from the language
states, and `pixel_decoder` and `mask_decoder` turn that query into a mask. `modeling` combines these parts.
"""
