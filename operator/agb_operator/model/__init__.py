"""Values: the resource, its status, the states of a session, and what can go wrong; pure."""
