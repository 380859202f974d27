"""Programs of the processes that run user code: the template, a slot, a replica."""
