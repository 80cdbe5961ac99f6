"""Templates, bundles and labels: the immutable pieces and the names that move over them."""
