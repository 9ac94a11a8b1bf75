"""`python -m makini_operator`: the same as the command `makini-operator`."""

from makini_operator.cli.main import main

if __name__ == "__main__":
    main(prog_name="makini-operator")
