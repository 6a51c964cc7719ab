# The documentation site. Included by the Makefile.

.PHONY: docs
docs: tools ## build the documentation site into build/site, strict about links and navigation
	@$(BIN)/python hack/docs_site.py

.PHONY: docs-serve
docs-serve: docs ## read the site on http://127.0.0.1:8000 until Ctrl-C
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8000
