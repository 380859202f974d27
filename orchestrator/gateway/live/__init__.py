"""What the dashboard shows, kept as small versioned documents, and the stream of their changes."""
