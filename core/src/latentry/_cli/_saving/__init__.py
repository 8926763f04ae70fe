"""Where ``generate`` puts pictures: the value of ``--output``, names that are free, and writing as they are decoded."""
