"""What several tests share: waiting, servers, programs run as a user would run them."""
