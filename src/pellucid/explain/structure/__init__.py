"""What a model is made of: its modules and calls with measured sizes, as text and as a picture."""
