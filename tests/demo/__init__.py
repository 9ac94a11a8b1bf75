"""`make demo`: the operator at work, on a control plane of its own, in about a minute of reading.

Every command that is shown is the command that is run. Each step says what it shows, then
compares what came out with what should have; the first difference ends the demo with exit
code 1, what was expected, what was seen, and the end of the operator's log. Whatever
happens, no process and no folder is left.

* `screen.py`: how it looks
* `stage.py`: control plane, sandbox and operator; running a command
* `story.py`: the steps
"""
