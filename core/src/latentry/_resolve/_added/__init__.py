"""What a request adds to the model: LoRAs, and networks that steer it by pictures."""
