package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"strconv"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serve answers calls at a socket, until it is killed.
func serve(path string) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	server.Register("acme.Go", map[string]ttrpc.Method{
		"Echo":     method(echo),
		"Fail":     method(fail),
		"Left":     method(left),
		"Metadata": method(metadata),
		"Wait":     method(wait),
	})
	fmt.Println("ready")
	log.Fatal(server.Serve(context.Background(), listener))
}

func method(answer func(context.Context, []byte) ([]byte, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		var request message
		if err := unmarshal(&request); err != nil {
			return nil, err
		}
		data, err := answer(ctx, request.data)
		return &message{raw{data}}, err
	}
}

func echo(_ context.Context, request []byte) ([]byte, error) { return request, nil }

func fail(_ context.Context, request []byte) ([]byte, error) {
	return nil, status.Error(codes.NotFound, "no such thing: "+string(request))
}

// left answers with the milliseconds that are left, or with "none".
func left(ctx context.Context, _ []byte) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return []byte("none"), nil
	}
	return []byte(strconv.FormatInt(time.Until(deadline).Milliseconds(), 10)), nil
}

// metadata answers with the value of the key that is asked for.
func metadata(ctx context.Context, request []byte) ([]byte, error) {
	value, _ := ttrpc.GetMetadataValue(ctx, string(request))
	return []byte(value), nil
}

// wait answers after a while, whoever has lost interest in the meantime.
func wait(_ context.Context, request []byte) ([]byte, error) {
	time.Sleep(100 * time.Millisecond)
	return request, nil
}
