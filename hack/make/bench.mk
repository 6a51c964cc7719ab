# Benchmarks. Included by the Makefile; the options are those of benchmarks/bench/__main__.py.

.PHONY: bench
bench: programs ## measure the operator beside what people would use instead (about 2 hours; BENCH_N=100 takes 20 minutes)
	PYTHONPATH=hack:benchmarks $(BIN)/python -m bench

.PHONY: rate-table
rate-table: programs ## measure all that is promised of AGB's rate, beside the goals (30 minutes; RATE_PARTS=small takes 6)
	@PYTHONPATH=hack:benchmarks $(BIN)/python -m bench.rate_table
