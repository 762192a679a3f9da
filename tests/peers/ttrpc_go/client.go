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

type end struct {
	Payload string `json:"payload"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// call makes one call, and writes its end to standard output, as JSON.
func call(arguments []string) {
	path, service, method, payload := arguments[0], arguments[1], arguments[2], arguments[3]
	connection, err := net.Dial("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	client := ttrpc.NewClient(connection)
	defer client.Close()
	ctx, cancel := prepared(arguments[4], arguments[5:])
	defer cancel()
	var reply message
	err = client.Call(ctx, service, method, &message{raw{[]byte(payload)}}, &reply)
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
