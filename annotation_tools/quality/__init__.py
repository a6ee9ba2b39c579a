"""Measure the agreement of annotators and reviewers, and merge several masks into one."""
