# Benchmarks. Included by the Makefile; the options are those of benchmarks/bench/__main__.py.

.PHONY: bench
bench: programs ## measure the operator beside what people would use instead (about 2 hours; BENCH_N=100 takes 20 minutes)
	PYTHONPATH=hack:benchmarks $(BIN)/python -m bench
