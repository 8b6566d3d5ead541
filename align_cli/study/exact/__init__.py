"""Studies whose cells are computed exactly, by the lab, instead of being runs of the loop."""
