"""Measurements of the lab itself: which schedule serves which cell, and from where on it is faster."""
