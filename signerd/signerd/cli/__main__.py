"""`python -P -m signerd.cli`: the same as the command `signerd`."""

from signerd.cli.main import main

main()
