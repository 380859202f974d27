"""A trainable module with a stub of an engine, shared by two prompts."""

from typing import Any

import lazyllm

llm = lazyllm.TrainableModule("stub", trust_remote_code=False).deploy_method(lazyllm.deploy.dummy)
polite = llm.share(prompt="Be polite: {input}")
# Without a set to train on, lazyllm's update() refuses.
METHOD = "start"
tree = lazyllm.ActionModule(lazyllm.parallel(llm, polite).aslist)


def answers() -> Any:
    other = llm.share(prompt="Be brief: {input}")
    other.evalset(["x"])
    other.eval()
    return [tree("hello"), llm("again"), other.eval_result]
