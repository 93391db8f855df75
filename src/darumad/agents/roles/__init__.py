"""The agents of the roles: what each decides once its actor has an item. One file a role, one for their conduct."""
