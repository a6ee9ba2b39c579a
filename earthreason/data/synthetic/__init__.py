"""Overhead scenes drawn by rule, with exact masks: the data everything in the README runs on."""
