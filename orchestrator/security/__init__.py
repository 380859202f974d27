"""Who signed what: keys derived from the one secret, and seals made with them."""
