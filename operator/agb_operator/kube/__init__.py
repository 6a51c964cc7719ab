"""All that knows kopf or the Kubernetes client."""
