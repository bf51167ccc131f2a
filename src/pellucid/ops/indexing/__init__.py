"""Reading and writing by index: brackets, rows, single elements, masks."""
