"""How right the samples of a scheduler are: order, arrival, stability, one answer everywhere."""
