"""HTTP/1.1 as gateway and replicas speak it: strict framing, and heads that were seen before."""
