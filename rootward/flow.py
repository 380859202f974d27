"""Flows under the path that LazyLLM's users know: `rootward.flow.pipeline` and its kin."""

from __future__ import annotations

from .modules import (
    IFS,
    Bind,
    Diverter,
    Flow,
    Graph,
    Kwargs,
    Loop,
    Package,
    Parallel,
    Pipeline,
    Switch,
    Warp,
    barrier,
    bind,
    diverter,
    graph,
    ifs,
    kwargs,
    loop,
    package,
    parallel,
    pipeline,
    save_pipeline_result,
    switch,
    warp,
)

__all__ = [  # noqa: RUF022 - grouped, like a table of contents
    "Flow",
    "Pipeline", "pipeline",
    "Parallel", "parallel",
    "Diverter", "diverter",
    "Warp", "warp",
    "Switch", "switch",
    "IFS", "ifs",
    "Loop", "loop",
    "Graph", "graph",
    "Bind", "bind",
    "Package", "package",
    "Kwargs", "kwargs",
    "barrier",
    "save_pipeline_result",
]  # fmt: skip
