"""`make demo`: the operator at work, in about a minute of reading.

It plays on a node of its own, with the chart and with pods; where no node can run it says
why, and shows only the API, on a control plane without pods. MAKINI_DEMO=api asks for that.

Every command that is shown is the command that is run. Each step says what it shows, then
compares what came out with what should have; the first difference ends the demo with exit
code 1, what was expected, what was seen, and the end of the operator's log. Whatever
happens, no process and no folder is left.

* `screen.py`: how it looks
* `stage.py`: running a command; control plane, sandbox and operator as processes
* `story.py`: the steps without pods, and what both have in common
* `pods.py`: the node, and the steps with pods
"""
