"""What a prompt can hold beside its plain words: emphasis, learnt words, and pictures that the network is shown."""
