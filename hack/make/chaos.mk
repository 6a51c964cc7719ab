# The long version of tests/chaos: two operators, everything around them broken, nothing lost. Included by the Makefile.
CHAOS_MINUTES ?= 10
CHAOS_FLAGS ?=

.PHONY: chaos
chaos: programs ## break everything around two operators for CHAOS_MINUTES (10), then see that nothing was lost
	@PYTHONPATH=tests:hack $(BIN)/python -m chaos --minutes $(CHAOS_MINUTES) $(CHAOS_FLAGS)
