"""The replicas of an agent: started, published, watched, restarted, taken away."""
