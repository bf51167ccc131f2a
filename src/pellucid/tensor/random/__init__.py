"""Random numbers: the generator, and samplers that draw from it what PyTorch draws."""
