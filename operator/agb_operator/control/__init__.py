"""One pass over one resource, and all that starts a pass."""
