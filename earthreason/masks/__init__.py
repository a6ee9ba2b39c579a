"""Run-length masks, grids and the region kernel."""
