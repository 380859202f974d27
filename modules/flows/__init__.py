"""Flows: functions and modules as the steps of one bigger function.

Each kind of flow is a file; `flow` has what all share and the pipeline, `binding` what goes between
the steps, `action` a flow as a module. Values pass from the first item to the last.
"""
