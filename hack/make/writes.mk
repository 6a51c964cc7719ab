.PHONY: write-counts
write-counts: programs ## count what one pause costs the API server, beside the usual kopf operator (2 minutes)
	@PYTHONPATH=hack:operator:tests $(BIN)/python benchmarks/write_counts.py
