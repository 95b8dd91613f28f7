"""States of transformations, and transformations themselves, in files and other libraries' words."""
