"""Tables that core decisions look things up in; each file names its source and licence."""
