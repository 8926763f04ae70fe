"""One batch of pictures: where its runs start, the loop, and what becomes of the latents."""
