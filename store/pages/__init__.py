"""What the pages that programs write have in common: colours, figures, templates."""
