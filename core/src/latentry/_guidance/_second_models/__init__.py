"""Second networks of a request: a refiner that takes over at the end, a weak one that guidance leads away from."""
