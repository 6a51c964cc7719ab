"""Pause and resume AGB cloud sessions as Kubernetes resources."""

__version__ = "0.1.0"
