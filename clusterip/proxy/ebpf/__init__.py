"""Services at the socket: what connects to one is given its endpoint before there is any packet."""
