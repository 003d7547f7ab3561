"""What is wrong with texts before they are trained on."""
