"""Augmentation: one description of how pictures are changed, used by `augment` and inside training."""
