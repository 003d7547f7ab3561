"""What text gives the training core."""
