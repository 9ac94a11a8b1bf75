package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is far longer than any control plane here lives, and far too short for its
// files to be of use to anyone who finds them later.
const validity = 7 * 24 * time.Hour

// leaves are the certificates that one authority signs. Names and organizations are the
// ones Kubernetes' own roles are bound to. Those of a node are written only for a node.
var leaves = []struct {
	file         string
	commonName   string
	organization string
	isServer     bool
	isOfNode     bool
}{
	{file: "apiserver", commonName: "kube-apiserver", isServer: true},
	{file: "etcd", commonName: "etcd", isServer: true},
	{file: "admin", commonName: "localkube-admin", organization: "system:masters"},
	{file: "controller-manager", commonName: "system:kube-controller-manager"},
	{file: "scheduler", commonName: "system:kube-scheduler", isOfNode: true},
	{file: "kubelet", commonName: "system:node:", organization: "system:nodes", isServer: true, isOfNode: true},
	{file: "proxy", commonName: "system:kube-proxy", isOfNode: true},
	{file: "dns", commonName: "system:coredns", isOfNode: true},
}

// writePKI fills the directory in arguments with ca.crt, a .crt and .key for each leaf,
// and sa.key and sa.pub for service account tokens. The authority's key is not kept.
// With a node's name and address, the node's leaves are among them and every server's
// certificate is good for the address.
func writePKI(arguments []string) error {
	if len(arguments) != 1 && len(arguments) != 3 {
		return errors.New("expected the directory to write to, and for a node also its name and its address")
	}
	directory := arguments[0]
	var node string
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 96, 0, 1)}
	if len(arguments) == 3 {
		node = arguments[1]
		address := net.ParseIP(arguments[2])
		if address == nil {
			return fmt.Errorf("expected an IP address of the node, found %q", arguments[2])
		}
		addresses = append(addresses, address)
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	ca, caKey, err := writeAuthority(directory)
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		if leaf.isOfNode && node == "" {
			continue
		}
		name := leaf.commonName
		if leaf.file == "kubelet" {
			name += node
		}
		template := newTemplate(name)
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if leaf.organization != "" {
			template.Subject.Organization = []string{leaf.organization}
		}
		if leaf.isServer {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
			template.IPAddresses = addresses
			template.DNSNames = []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local",
			}
		}
		if err := writeCertificate(directory, leaf.file, template, ca, caKey); err != nil {
			return err
		}
	}
	return writeServiceAccountKeys(directory)
}

func writeAuthority(directory string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate("localkube-ca")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	if err := writePEM(filepath.Join(directory, "ca.crt"), "CERTIFICATE", der); err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}

func writeCertificate(directory, file string, template, ca *x509.Certificate, caKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(directory, file+".key"), "EC PRIVATE KEY", keyDER); err != nil {
		return err
	}
	return writePEM(filepath.Join(directory, file+".crt"), "CERTIFICATE", der)
}

// writeServiceAccountKeys uses RSA, as clusters do whose tokens other systems verify.
func writeServiceAccountKeys(directory string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	private := x509.MarshalPKCS1PrivateKey(key)
	if err := writePEM(filepath.Join(directory, "sa.key"), "RSA PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(filepath.Join(directory, "sa.pub"), "PUBLIC KEY", public)
}

func newTemplate(commonName string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(fmt.Sprintf("no random numbers: %v", err))
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(validity),
	}
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
