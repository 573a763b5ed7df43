"""Regularisers of recurrent networks: one regulariser, one file. Those that draw noise are cells around a cell."""
