"""``python -m fixmatch_lite`` is the command ``fixmatch-lite``."""

from .cli import main

if __name__ == "__main__":
    main()
