package main

import (
	"context"
	"time"

	"github.com/mediocregopher/radix/v4"

	. "synod/clients/scenario"
)

var ctx = context.Background()

// Without a limit, what it has sent to a node that dies may wait for ever.
func limited() context.Context {
	limited, _ := context.WithTimeout(ctx, 2*time.Second)
	return limited
}

type client struct{ radix.MultiClient }

func connect() Client {
	if Mode == "cluster" {
		// It looks at the cluster again through any node that it knows, a dead one as often as not.
		cluster, err := (radix.ClusterConfig{SyncEvery: 250 * time.Millisecond}).New(ctx, Addresses)
		Must(err)
		return client{cluster}
	}
	one, err := (radix.PoolConfig{}).New(ctx, "tcp", Addresses[0])
	Must(err)
	return client{radix.NewMultiClient(radix.ReplicaSet{Primary: one})}
}

func (c client) number(command string, arguments ...string) (n int64) {
	Must(c.Do(ctx, radix.Cmd(&n, command, arguments...)))
	return n
}

func (c client) Usual() {
	var set string
	Check(c.Do(ctx, radix.Cmd(&set, "SET", Key("a"), "1")), set, "OK")
	get, err := c.Get(Key("a"))
	Check(err, get, "1")
	Check(nil, []int64{c.number("INCR", Key("n")), c.number("INCR", Key("n"))}, []int64{1, 2})
	var many []string
	err = c.Do(ctx, radix.Cmd(&many, "MGET", Key("a"), Key("n"), Key("none")))
	Check(err, many, []string{"1", "2", ""})
	Check(nil, c.number("EXPIRE", Key("a"), "100"), int64(1))
	left := c.number("TTL", Key("a"))
	Check(nil, left > 0 && left <= 100, true)
	Check(nil, c.scan(), []string{Key("a"), Key("n")})

	var n int64
	transaction := radix.NewPipeline()
	transaction.Append(radix.Cmd(nil, "MULTI"))
	transaction.Append(radix.Cmd(nil, "INCR", Key("n")))
	transaction.Append(radix.Cmd(nil, "SET", Key("m"), "x"))
	transaction.Append(radix.Cmd(&radix.Tuple{&n, &set}, "EXEC"))
	Check(c.Do(ctx, transaction), []any{n, set}, []any{int64(3), "OK"})

	pipeline := radix.NewPipeline()
	replies := make([]int64, 100)
	for i := range replies {
		pipeline.Append(radix.Cmd(&replies[i], "INCR", Key("p")))
	}
	err = c.Do(ctx, pipeline)
	for i, reply := range replies {
		Check(err, reply, int64(i+1))
	}
	Check(nil, c.number("DEL", Key("a")), int64(1))
}

func (c client) scan() []string {
	found, name := []string{}, ""
	scanner := (radix.ScannerConfig{Pattern: Pattern, Count: 100}).NewMulti(c.MultiClient)
	for scanner.Next(ctx, &name) {
		found = append(found, name)
	}
	Must(scanner.Close())
	return Unique(found)
}

func (c client) Set(key, value string) error {
	return c.Do(limited(), radix.Cmd(nil, "SET", key, value))
}
func (c client) Close() { c.MultiClient.Close() }

func (c client) Get(key string) (value string, err error) {
	err = c.Do(limited(), radix.FlatCmd(&value, "GET", key))
	return value, err
}

func main() { Main("github.com/mediocregopher/radix/v4", connect) }
