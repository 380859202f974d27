"""LazyLLM apps through rootward: `import rootward.lazyllm` as the first line of a script.

From then on `update`, `start`, `eval`, `stop` and `wait` of any lazyllm module run through
rootward: on this machine, or on the workers of REDIS_URL. `python -m rootward.lazyllm script.py`
(or `-m module`) does the same for a script that is left as it is. Needs lazyllm; the extra
`rootward[lazyllm]` names the versions that are tested.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("lazyllm") is None:
    raise ModuleNotFoundError(
        "rootward.lazyllm needs lazyllm itself: pip install 'rootward[lazyllm]'", name="lazyllm"
    )

from ..modules.lazyllm.adapter import adopts
from ..modules.lazyllm.install import install

install()

__all__ = ["adopts", "install"]
