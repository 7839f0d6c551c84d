"""Who answers a request: the global rules of URL Rewrite and the server farms of ARR, evaluated on this machine. Pure; contacts no host."""
