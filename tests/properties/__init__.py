"""Properties that hold for every layout, looked for by drawing many."""
