"""Reference models. Depends on `earthreason`; nothing there depends on this."""
