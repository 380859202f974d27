"""What LazyLLM does, and what is done with its objects: scripts/lazyllm has the real one."""
