.PHONY: write-counts
write-counts: programs ## count what one pause costs the API server, beside the usual kopf operator (2 minutes)
	@PYTHONPATH=hack:operator:tests $(BIN)/python benchmarks/write_counts.py

.PHONY: mass-loss
mass-loss: venv ## measure the decisions when 10,000 sessions of one key vanish at once (seconds)
	@PYTHONPATH=operator $(BIN)/python benchmarks/mass_loss.py

.PHONY: report-cost
report-cost: programs ## measure kubectl agb report with 10,000 AgbSessions (3 minutes)
	@PYTHONPATH=hack:operator:tests:benchmarks $(BIN)/python benchmarks/report_cost.py

.PHONY: edges
edges: programs ## measure a fleet under schedules, at rest and at one edge: EDGE_N sessions (10,000), 15 minutes
	@PYTHONPATH=hack:benchmarks $(BIN)/python benchmarks/edges.py

.PHONY: tenants
tenants: programs ## measure what a tenant notices of the trouble of another: TENANTS_N sessions (2,000), 20 minutes
	@PYTHONPATH=hack:operator:tests:benchmarks $(BIN)/python benchmarks/tenants.py
