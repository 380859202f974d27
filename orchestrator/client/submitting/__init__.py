"""From a checked plan to its generation: who submits it, how it takes over, how it is sent."""
