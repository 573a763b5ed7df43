"""Probes: what a trained, or untrained, network remembers."""
