"""Everything that rootward keeps in Redis: one script a write, one round trip a read.

`store` is the one object behind which the rest stands, with a part for each noun: `deployments`,
`tasks`, `agents`, `registry` and `history`. `records` is what they hold, with its encoding; `keys`
the catalogue of keys; `scripts` runs what is in `lua/`. `watch` follows changes of the registry.
"""
