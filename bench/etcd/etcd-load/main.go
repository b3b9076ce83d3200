// Puts load on etcd in a closed loop, as `synod bench` does on Redis' protocol: each client has one PUT outstanding.
// Prints what that prints with --json, as far as it is compared. Called by bench/pairs.py.
//
//	etcd-load HOST:PORT CLIENTS CONNECTIONS REQUESTS VALUE-SIZE KEYS
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "go.etcd.io/etcd/client/v3"
)

func number(argument string) int {
	n, err := strconv.Atoi(argument)
	if err != nil || n < 1 {
		log.Fatalf("not a number: %q", argument)
	}
	return n
}

// Requests are taken from `left` by whichever client is free; returns how long each of this client's took.
func run(connection *client.Client, left *atomic.Int64, value string, keys int) []time.Duration {
	var took []time.Duration
	for left.Add(-1) >= 0 {
		begin := time.Now()
		if _, err := connection.Put(context.Background(), fmt.Sprintf("key:%d", rand.IntN(keys)), value); err != nil {
			log.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	return took
}

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: etcd-load HOST:PORT CLIENTS CONNECTIONS REQUESTS VALUE-SIZE KEYS")
	}
	clients, connections, requests := number(os.Args[2]), number(os.Args[3]), number(os.Args[4])
	value, keys := strings.Repeat("x", number(os.Args[5])), number(os.Args[6])
	var all []*client.Client
	for range min(connections, clients) {
		one, err := client.New(client.Config{Endpoints: []string{os.Args[1]}, DialTimeout: 10 * time.Second})
		if err != nil {
			log.Fatal(err)
		}
		defer one.Close()
		if _, err := one.Get(context.Background(), "connected"); err != nil { // it is, and the load may begin
			log.Fatal(err)
		}
		all = append(all, one)
	}
	var left atomic.Int64
	left.Store(int64(requests))
	latencies := make([][]time.Duration, clients)
	var group sync.WaitGroup
	begin := time.Now()
	for i := range clients {
		group.Go(func() { latencies[i] = run(all[i%len(all)], &left, value, keys) })
	}
	group.Wait()
	seconds := time.Since(begin).Seconds()
	took := slices.Concat(latencies...)
	slices.Sort(took)
	part := func(of float64) float64 { return took[int(of*float64(len(took)-1))].Seconds() * 1000 }
	err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": requests, "seconds": seconds, "throughput": float64(requests) / seconds,
		"median_ms": part(0.5), "p99_ms": part(0.99), "p99_9_ms": part(0.999), "max_ms": part(1),
	})
	if err != nil {
		log.Fatal(err)
	}
}
