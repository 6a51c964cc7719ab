.PHONY: write-counts
write-counts: programs ## count what one pause costs the API server, beside the usual kopf operator (2 minutes)
	@PYTHONPATH=hack:operator:tests $(BIN)/python benchmarks/write_counts.py

.PHONY: mass-loss
mass-loss: venv ## measure the decisions when 10,000 sessions of one key vanish at once (seconds)
	@PYTHONPATH=operator $(BIN)/python benchmarks/mass_loss.py

.PHONY: report-cost
report-cost: programs ## measure kubectl agb report with 10,000 AgbSessions (3 minutes)
	@PYTHONPATH=hack:operator:tests:benchmarks $(BIN)/python benchmarks/report_cost.py
