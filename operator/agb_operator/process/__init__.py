"""Who is alive, who may work: the process, its settings, its Lease, its health and its logs."""
