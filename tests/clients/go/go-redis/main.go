package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	. "synod/clients/scenario"
)

var ctx = context.Background()

type client struct{ redis.UniversalClient }

func connect() Client {
	logging.Disable()
	if Mode == "cluster" {
		// By default it looks at the cluster again after 60 s, and asks a dead master until then, whatever the server is.
		return client{redis.NewClusterClient(&redis.ClusterOptions{Addrs: Addresses, ClusterStateReloadInterval: time.Second})}
	}
	return client{redis.NewClient(&redis.Options{Addr: Addresses[0]})}
}

func (c client) Usual() {
	set, err := c.UniversalClient.Set(ctx, Key("a"), "1", 0).Result()
	Check(err, set, "OK")
	get, err := c.Get(Key("a"))
	Check(err, get, "1")
	for i := int64(1); i <= 2; i++ {
		n, err := c.Incr(ctx, Key("n")).Result()
		Check(err, n, i)
	}
	many, err := c.MGet(ctx, Key("a"), Key("n"), Key("none")).Result()
	Check(err, many, []any{"1", "2", nil})
	expires, err := c.Expire(ctx, Key("a"), 100e9).Result()
	Check(err, expires, true)
	left, err := c.TTL(ctx, Key("a")).Result()
	Check(err, left > 0 && left <= 100e9, true)
	Check(nil, c.scan(), []string{Key("a"), Key("n")})

	transaction := c.TxPipeline()
	n, set2 := transaction.Incr(ctx, Key("n")), transaction.Set(ctx, Key("m"), "x", 0)
	_, err = transaction.Exec(ctx)
	Check(err, []any{n.Val(), set2.Val()}, []any{int64(3), "OK"})

	pipeline := c.Pipeline()
	replies := make([]*redis.IntCmd, 100)
	for i := range replies {
		replies[i] = pipeline.Incr(ctx, Key("p"))
	}
	_, err = pipeline.Exec(ctx)
	for i, reply := range replies {
		Check(err, reply.Val(), int64(i+1))
	}
	gone, err := c.Del(ctx, Key("a")).Result()
	Check(err, gone, int64(1))
}

func (c client) scan() []string {
	found := []string{}
	all := func(ctx context.Context, node *redis.Client) error {
		names := node.Scan(ctx, 0, Pattern, 100).Iterator()
		for names.Next(ctx) {
			found = append(found, names.Val())
		}
		return names.Err()
	}
	if cluster, is := c.UniversalClient.(*redis.ClusterClient); is {
		Must(cluster.ForEachMaster(ctx, all))
	} else {
		Must(all(ctx, c.UniversalClient.(*redis.Client)))
	}
	return Unique(found)
}

func (c client) Set(key, value string) error { return c.UniversalClient.Set(ctx, key, value, 0).Err() }
func (c client) Close()                      { c.UniversalClient.Close() }

func (c client) Get(key string) (string, error) {
	value, err := c.UniversalClient.Get(ctx, key).Result()
	if err == redis.Nil {
		err = nil
	}
	return value, err
}

func main() { Main("github.com/redis/go-redis/v9", connect) }
