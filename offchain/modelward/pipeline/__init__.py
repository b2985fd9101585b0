"""From a fitted estimator to a bundle: evaluation, gate, packaging."""
