"""The commands: ``derain-edu COMMAND`` or ``python -m derain_edu COMMAND``."""
