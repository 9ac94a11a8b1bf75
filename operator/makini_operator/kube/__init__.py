"""The Kubernetes API: configuration, a small typed client, the object store, events."""
