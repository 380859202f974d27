"""The gateway about itself: API, pages, metrics, OpenAPI."""
