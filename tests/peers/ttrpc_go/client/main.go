// A ttrpc client that knows nothing of Remora: containerd's library, one call, its end as JSON on standard output.
//
// Usage: client SOCKET SERVICE METHOD PAYLOAD TIMEOUT_MS [KEY=VALUE ...]
package main

import (
	"context"
	"encoding/json"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/status"
)

// raw is a message whose encoding is its content.
type raw struct{ data []byte }

func (r *raw) Reset()                    { r.data = nil }
func (r *raw) String() string            { return string(r.data) }
func (r *raw) ProtoMessage()             {}
func (r *raw) Marshal() ([]byte, error)  { return r.data, nil }
func (r *raw) Unmarshal(in []byte) error { r.data = append([]byte(nil), in...); return nil }

type end struct {
	Payload string `json:"payload"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func main() {
	connection, err := net.Dial("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	client := ttrpc.NewClient(connection)
	defer client.Close()
	ctx, cancel := prepared(os.Args[5], os.Args[6:])
	defer cancel()
	var reply raw
	err = client.Call(ctx, os.Args[2], os.Args[3], &raw{[]byte(os.Args[4])}, &reply)
	outcome := status.Convert(err)
	if ctx.Err() != nil {
		outcome = status.FromContextError(ctx.Err())
	}
	err = json.NewEncoder(os.Stdout).Encode(end{string(reply.data), outcome.Code().String(), outcome.Message()})
	if err != nil {
		log.Fatal(err)
	}
}

func prepared(timeout string, pairs []string) (context.Context, context.CancelFunc) {
	metadata := ttrpc.MD{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		metadata.Append(key, value)
	}
	ctx := ttrpc.WithMetadata(context.Background(), metadata)
	milliseconds, err := strconv.Atoi(timeout)
	if err != nil {
		log.Fatal(err)
	}
	if milliseconds == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(milliseconds)*time.Millisecond)
}
