// localkube is a real Kubernetes control plane in one binary: etcd, kube-apiserver,
// kube-controller-manager and kubectl, chosen by the first argument, or by the name
// it is called with (a symlink called kubectl is kubectl).
//
// Why: the tests and the demo want the real API server (schema, CEL, RBAC, garbage
// collection) on a machine that has no container engine. Building the four from
// their Go modules costs one build and needs nothing but a Go toolchain. What a node
// needs besides (scheduler, kubelet, kube-proxy) is the program in the folder node.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const usage = "usage: localkube etcd|kube-apiserver|kube-controller-manager|kubectl|pki [arguments]"

func main() {
	if filepath.Base(os.Args[0]) != "kubectl" {
		if len(os.Args) < 2 {
			fmt.Fprintln(os.Stderr, usage)
			os.Exit(2)
		}
		os.Args = os.Args[1:]
	}
	component := filepath.Base(os.Args[0])
	switch component {
	case "etcd":
		exitWithOwner()
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		exitWithOwner()
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		exitWithOwner()
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	case "pki":
		if err := writePKI(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "localkube pki:", err)
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "unknown component %q\n%s\n", component, usage)
		os.Exit(2)
	}
}
