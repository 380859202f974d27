"""From a tree to what is stored: collect, plan, reduce, encode, sign.

`collect` reads the tree, `plan` makes tasks and edges, `reduction` drops the edges that others
imply, `plan_codec` and `plan_text` turn a plan into bytes and text, `submission` into what is
stored.
"""
