"""Speed, against the field's usual packages."""
