"""Views: operators that only compute a layout."""
