"""A dry run: a file and a contract go through the loader itself, into a warehouse that is thrown
away afterwards. `checking` does it, `local_file` stands for the lake and the quarantine."""
