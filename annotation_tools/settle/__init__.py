"""Drawings that differ, settled by a third person: one page, stored in the workspace."""
