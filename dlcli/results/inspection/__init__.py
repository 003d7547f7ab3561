"""Looking into a trained network: its layers, weights, activations, what excites a filter, and the network drawn."""
