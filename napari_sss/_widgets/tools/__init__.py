"""Tools for the hand: what the mouse draws, the keys, and the list of them."""
