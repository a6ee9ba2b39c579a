"""Masks and questions made and checked by people. Depends on `earthreason`; not part of the wheel."""
