"""Recurrent cells: one cell, one file, and in it the mathematics of one step and nothing else."""
