"""An exchange nobody has heard of, as a newcomer would add it: this folder, and one line in the registry."""
