"""Answer questions about georeferenced scenes of any size, and write the answers as map layers."""
