"""A package, so that two folders may each have a test file of the same name."""
