// External Secrets Operator as it is, in a program of its own, for `make test-integrations`.
package main

import "github.com/external-secrets/external-secrets/cmd/controller"

func main() {
	controller.Execute()
}
