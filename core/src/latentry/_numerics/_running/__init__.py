"""A request on its way through a plan: the run, its state and noise, checked steps, and the stepwise interface."""
