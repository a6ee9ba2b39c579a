"""Reference models. This package depends on `earthreason`, never the other way round."""
