"""Text: where it comes from, its symbols, what predicts it without a network, and drawing more.

Importing the room loads nothing; only `sampling` needs JAX.
"""
