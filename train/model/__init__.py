"""Models as data: layers, architectures, weights and normalisation, without a framework."""
