"""Parts of objects and actions on them that have a path of their own."""
