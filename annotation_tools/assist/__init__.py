"""Masks from clicks and boxes while people draw, and the order in which tasks are worth their time."""
