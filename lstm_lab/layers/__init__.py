"""Layers: one layer, one file. What goes around a cell, and the controls that put something in its place."""
