"""Draw masks and review questions. Depends on `earthreason`; not part of the wheel."""
