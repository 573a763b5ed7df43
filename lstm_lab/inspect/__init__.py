"""One trained network reading one text, symbol by symbol: what `lstm-lab inspect` shows."""
