"""The adapter of lazyllm's modules: real lazyllm objects as modules of a tree.

`adapter` says what is taken, `nodes` are what stands for it in a tree, `handles` are the objects
that the user goes on to hold, `session` is what goes along with calls, `install` lets an unchanged
script run through rootward. All but this file import lazyllm, and are imported where it is there.
"""
