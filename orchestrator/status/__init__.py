"""What is going on, read from the store and frozen: statuses, failures and their JSON."""
