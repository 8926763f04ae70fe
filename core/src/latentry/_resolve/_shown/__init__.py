"""What a request shows the network: its task, the pictures it begins from, and the canvas they are fitted to."""
