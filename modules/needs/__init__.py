"""What modules need of the machines that they run on.

- `resources`: amounts by name (`{"gpu": 1}`), as modules need and workers offer them.
- `options`: the numbers among the options of served modules, and the sentences otherwise.
"""
