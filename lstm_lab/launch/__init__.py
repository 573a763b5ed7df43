"""Where trials run: in this process, in several that this one watches over, or on a cluster."""
