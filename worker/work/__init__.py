"""What an agent works on: assignments, their run and output, and their generations."""
