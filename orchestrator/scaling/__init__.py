"""Autoscaling: how many replicas follow the calls of a service.

`policy` decides, as a pure function of loads and time; `autoscaler` has it decided in the
controller's rounds and stored; `by_hand` is what somebody asks for instead.
"""
