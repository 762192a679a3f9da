// A ttrpc server and client that know nothing of Remora: containerd's library, with payloads that pass as they stand.
//
// Usage:
//
//	peer server SOCKET
//	peer client SOCKET SERVICE METHOD PAYLOAD TIMEOUT_MS [KEY=VALUE ...]
package main

import "os"

func main() {
	if os.Args[1] == "server" {
		serve(os.Args[2])
	} else {
		call(os.Args[2:])
	}
}
