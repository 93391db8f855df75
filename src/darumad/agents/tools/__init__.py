"""What agents can do with their hands. Everything stays below the item's workspace."""
