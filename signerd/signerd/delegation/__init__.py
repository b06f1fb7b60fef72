"""What the parent needs: the DS set in the forms registrars take."""
