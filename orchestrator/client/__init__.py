"""What a program has in its hands: the client, a deployment, the gateway, the executor.

`client` submits; `deployment` watches and ends; `gateway` looks services up and calls them;
`executor` is behind `update()` where there is a Redis.
"""
