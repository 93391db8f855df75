"""An agent that cannot be made: nobody wrote it yet."""
