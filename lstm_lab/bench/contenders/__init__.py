"""The frameworks that `lstm-lab bench` times, one file each; a process imports one of them."""
