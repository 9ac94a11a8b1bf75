package main

import (
	"fmt"
	"io"
	"os"
)

// exitWithOwner ends this process when its standard input closes, if its owner asked
// for that with LOCALKUBE_EXIT_WITH_STDIN. The kernel closes the pipe however the owner
// ends, kill -9 included, so a killed test run leaves no server behind.
func exitWithOwner() {
	if os.Getenv("LOCALKUBE_EXIT_WITH_STDIN") == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		fmt.Fprintln(os.Stderr, "localkube: the process that started this one is gone, so this one ends too")
		os.Exit(0)
	}()
}
