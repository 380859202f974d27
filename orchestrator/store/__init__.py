"""Everything that rootward keeps in Redis: one script a write, one round trip a read.

`store` is the one object behind which the rest stands: `agents`, `registry`, `deployments` and
`queries`. `keys` is the catalogue of keys, `records` what they hold, `record_codec` how it is
written, `scripts` the typed call of each Lua script in `lua/`. `watch` follows changes of the
registry.
"""
