# What installs, runs and releases the operator: image, chart, manifests. Included by the Makefile.

.PHONY: image
image: venv ## build the container image with docker, podman or buildah; IMAGE_TAR=dist/agb-operator.tar saves it too
	$(BIN)/python hack/image.py build $(if $(IMAGE_TAR),--tar $(IMAGE_TAR))
	$(BIN)/python hack/image.py check

.PHONY: chart-test
chart-test: venv ## test the chart, the manifests, the GitOps snippets and the alerts on a real API server
	$(BIN)/pytest tests/chart tests/gitops tests/monitoring

.PHONY: lock-build
lock: lock-build
lock-build: venv
	echo 'hatchling>=1.27' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --constraint requirements/dev.txt --output-file requirements/build.txt -

GENERATORS += hack/generate_deploy.py hack/generate_gitops.py
