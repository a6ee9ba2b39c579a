"""Read and write the file formats of annotation tools, without changing a pixel of a mask."""
