"""Write drawings in the formats of annotation tools."""
