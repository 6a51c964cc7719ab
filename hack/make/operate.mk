# What installs, runs and releases the operator: image, chart, manifests. Included by the Makefile.

.PHONY: image
image: programs ## build the container image with docker, podman or buildah; IMAGE_TAR=dist/agb-operator.tar saves it too
	@PYTHONPATH=hack $(BIN)/python hack/image.py $(if $(IMAGE_TAR),--tar $(IMAGE_TAR))
	@PYTHONPATH=hack $(BIN)/python hack/image_check.py

.PHONY: chart-test
chart-test: programs tools ## test the chart, the manifests, the GitOps snippets and the alerts on a real API server
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder tests/chart tests/gitops tests/monitoring

.PHONY: dashboard-picture
dashboard-picture: programs ## draw the dashboard from the data of a run of four minutes
	@PYTHONPATH=hack $(BIN)/python -m dashboard_picture

.PHONY: release-check
release-check: tools verify ## see that version, changelog, chart, image and manifests agree; build all files of a release into dist/
	@PYTHONPATH=hack $(BIN)/python hack/release_check.py $(if $(RELEASE_VERSION),--version=$(RELEASE_VERSION)) \
		$(if $(RELEASE_IMAGE),--image=$(RELEASE_IMAGE)) $(if $(RELEASE_SOURCE),--source=$(RELEASE_SOURCE))

.PHONY: lock-build
lock: lock-build
lock-build: venv
	echo 'hatchling>=1.27' | $(LOCK) --no-annotate --output-file requirements/build.txt -
