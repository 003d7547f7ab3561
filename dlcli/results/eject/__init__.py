"""A run as one plain Keras script: the way out of dlcli."""
