"""Models as data: layers, graph, weights and normalisation, without a framework."""
