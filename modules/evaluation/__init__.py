"""What a module is evaluated on: the set, where its items come from, and computing them in shards.

Its files are imported one by one, where they are used: a tree without an evaluation needs none.
"""
