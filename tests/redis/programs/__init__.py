"""Programs that use Redis, as their users write them, and what runs them."""
