"""``python -m derain_edu``: the command line, see :mod:`derain_edu.cli.app`."""

from derain_edu.cli.app import main

if __name__ == "__main__":
    main()
