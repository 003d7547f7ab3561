"""What pictures give the core: reading, one decode-and-resize function, augmentation, and the models."""
