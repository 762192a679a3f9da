// A plugin in Go: containerd's ttrpc library, with JSON as the payload. It knows nothing of Remora.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"
)

type text struct {
	Text string `json:"text"`
}

type count struct {
	Words      int `json:"words"`
	Characters int `json:"characters"`
}

// words answers a call: the number of words and characters of a text.
func words(_ context.Context, request text) (count, error) {
	if request.Text == "" {
		return count{}, status.Error(codes.InvalidArgument, "nothing to count")
	}
	return count{len(strings.Fields(request.Text)), utf8.RuneCountInString(request.Text)}, nil
}

// where answers a call: which process this is.
func where(ctx context.Context, _ struct{}) (map[string]interface{}, error) {
	id, _ := ttrpc.GetMetadataValue(ctx, "x-request-id")
	_, hasDeadline := ctx.Deadline()
	return map[string]interface{}{"language": "Go", "has_request_id": id != "", "has_deadline": hasDeadline}, nil
}

func main() {
	if len(os.Args) != 3 || os.Args[1] != "--listen" || !strings.HasPrefix(os.Args[2], "unix:") {
		log.Fatal("usage: plugin --listen unix:PATH")
	}
	listener, err := listen(strings.TrimPrefix(os.Args[2], "unix:"))
	if err != nil {
		log.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	server.Register("words.v1.Words", map[string]ttrpc.Method{"count": method(words), "where": method(where)})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	fmt.Println("serving words.v1.Words at", os.Args[2])
	if err := server.Serve(context.Background(), listener); err != ttrpc.ErrServerClosed {
		log.Fatal(err)
	}
}

// listen takes a socket in a directory that only its owner can enter, in place of one that a crash has left.
func listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	_ = os.Remove(path)
	return net.Listen("unix", path)
}

// jsonBytes is a message whose encoding is what it holds, so that the library passes on JSON as it stands.
type jsonBytes struct{ data []byte }

func (m *jsonBytes) Reset()                   { m.data = nil }
func (m *jsonBytes) String() string           { return string(m.data) }
func (m *jsonBytes) ProtoMessage()            {}
func (m *jsonBytes) Marshal() ([]byte, error) { return m.data, nil }
func (m *jsonBytes) Unmarshal(data []byte) error {
	m.data = append([]byte(nil), data...)
	return nil
}

// message is the same for the library from version 1.2 on, which asks messages for their reflection.
type message struct{ jsonBytes }

func (m *message) ProtoReflect() protoreflect.Message {
	return protoimpl.X.ProtoMessageV2Of(&m.jsonBytes).ProtoReflect()
}

// method makes a function of Go types a method that takes and gives JSON.
func method[Request, Reply any](answer func(context.Context, Request) (Reply, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		var raw message
		var request Request
		if err := unmarshal(&raw); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw.data, &request); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		reply, err := answer(ctx, request)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(reply)
		return &message{jsonBytes{data}}, err
	}
}
