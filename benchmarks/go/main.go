// The peer of `python -m benchmarks.beside_go`: the manager of agilira/go-plugins 1.0.0, and a Unix server for it.
//
// Usage:
//
//	peer serve SOCKET
//	peer call http|unix ADDRESS BYTES CALLERS
//
// `serve` echoes until it is killed. `call` reads a line with a number of milliseconds, calls for so long, and prints the
// number of calls, the seconds of CPU of this process, and the elapsed seconds; then it reads the next line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	plugins "github.com/agilira/go-plugins"
)

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	size, callers := number(os.Args[4]), number(os.Args[5])
	manager := managerOf(plugins.TransportType(os.Args[2]), os.Args[3], callers)
	text := strings.Repeat("x", size-2)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		measure(manager, text, callers, time.Duration(number(lines.Text()))*time.Millisecond)
	}
}

// managerOf makes a manager with the library's defaults, a rate limit that never holds, and a connection per caller.
func managerOf(transport plugins.TransportType, address string, callers int) *plugins.Manager[string, string] {
	quiet := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	config := plugins.GetDefaultManagerConfig()
	config.DefaultConnection.MaxConnections = max(callers, 32)
	config.DefaultConnection.MaxIdleConnections = max(callers, 32)
	config.DefaultRateLimit = plugins.RateLimitConfig{
		Enabled: true, RequestsPerSecond: 1e9, BurstSize: 1e9, TimeWindow: time.Second,
	}
	config.Plugins = []plugins.PluginConfig{
		{
			Name: "echo", Type: string(transport), Transport: transport, Endpoint: address, Enabled: true,
			Auth: plugins.AuthConfig{Method: plugins.AuthNone},
		},
	}
	manager := plugins.NewManager[string, string](quiet)
	check(manager.RegisterFactory("http", plugins.NewHTTPPluginFactory[string, string]()))
	check(manager.RegisterFactory("unix", plugins.NewUnixSocketPluginFactory[string, string](quiet)))
	check(manager.LoadFromConfig(config))
	return manager
}

func measure(manager *plugins.Manager[string, string], text string, callers int, length time.Duration) {
	var calls atomic.Int64
	var group sync.WaitGroup
	began, used := time.Now(), cpu()
	for range callers {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Since(began) < length {
				answer, err := manager.Execute(context.Background(), "echo", text)
				check(err)
				if answer != text {
					log.Fatalf("%q came back as %q", text, answer)
				}
				calls.Add(1)
			}
		}()
	}
	group.Wait()
	fmt.Println(calls.Load(), cpu()-used, time.Since(began).Seconds())
}

// cpu is what this process has used, in seconds, with all its threads.
func cpu() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func serve(path string) {
	listener, err := net.Listen("unix", path)
	check(err)
	fmt.Println(path)
	for {
		connection, err := listener.Accept()
		check(err)
		go echo(connection)
	}
}

// echo answers every message with its own data, as success.
func echo(connection net.Conn) {
	decoder, encoder := json.NewDecoder(connection), json.NewEncoder(connection)
	for {
		var message plugins.UnixSocketMessage
		if decoder.Decode(&message) != nil {
			return
		}
		data := message.Data
		if message.Type == "info" {
			data = json.RawMessage("{}")
		}
		reply := plugins.UnixSocketResponse{Type: "response", RequestID: message.RequestID, Success: true, Data: data}
		if encoder.Encode(reply) != nil {
			return
		}
	}
}

func number(text string) int {
	found, err := strconv.Atoi(text)
	check(err)
	return found
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
