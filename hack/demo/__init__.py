"""`make demo`: the verbs of the operator on a real API server, told as it happens.

`stage` sets up the programs and takes them down, `narrator` shows commands and how the object changes, `story` is what
is shown, and `__main__` asks before it touches a cluster that is not ours. Nothing here is needed by the operator.
"""
