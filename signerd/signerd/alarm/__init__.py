"""What needs a person: found, kept with its age, logged, counted, and handed on."""
