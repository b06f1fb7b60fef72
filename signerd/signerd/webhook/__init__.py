"""Events told to other programs over HTTP: signed, kept until they arrive, repeated with patience."""
