"""The page of a store: what is in it, seen at a glance, in one HTML file."""
