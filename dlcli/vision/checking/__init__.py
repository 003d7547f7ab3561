"""What is wrong with pictures before they are trained on."""
