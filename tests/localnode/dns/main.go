// CoreDNS with the few plugins that a cluster's names need.
//
// Why a module of its own: CoreDNS asks for newer versions of modules that Kubernetes
// uses too, and the control plane is to be built from exactly what Kubernetes pins.
package main

import (
	_ "github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() { coremain.Run() }
