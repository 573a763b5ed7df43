"""`lstm-lab play`: a page on this machine to write with a trained network, and to see what it holds at each symbol."""
