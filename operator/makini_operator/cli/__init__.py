"""The command `makini-operator`: one module for each subcommand, imported only when it is called."""
