# What the node tests call busybox: its arguments are a shell's.
FROM busybox:1.37.0
ENTRYPOINT ["/bin/sh"]
