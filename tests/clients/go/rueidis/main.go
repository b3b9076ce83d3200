package main

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	. "synod/clients/scenario"
)

var ctx = context.Background()

type client struct{ rueidis.Client }

// By default rueidis asks for CLIENT TRACKING when it connects.
func connect() Client {
	option := rueidis.ClientOption{InitAddress: Addresses}
	if Mode != "cluster" {
		option.InitAddress = Addresses[:1]
		option.ForceSingleClient = true
	}
	c, err := rueidis.NewClient(option)
	Must(err)
	return client{c}
}

func (c client) Usual() {
	do, b := func(command rueidis.Completed) rueidis.RedisResult { return c.Do(ctx, command) }, c.B()
	set, err := do(b.Set().Key(Key("a")).Value("1").Build()).ToString()
	Check(err, set, "OK")
	get, err := c.Get(Key("a"))
	Check(err, get, "1")
	for i := int64(1); i <= 2; i++ {
		n, err := do(b.Incr().Key(Key("n")).Build()).AsInt64()
		Check(err, n, i)
	}
	many, err := do(b.Mget().Key(Key("a"), Key("n"), Key("none")).Build()).AsStrSlice()
	Check(err, many, []string{"1", "2", ""})
	expires, err := do(b.Expire().Key(Key("a")).Seconds(100).Build()).AsBool()
	Check(err, expires, true)
	left, err := do(b.Ttl().Key(Key("a")).Build()).AsInt64()
	Check(err, left > 0 && left <= 100, true)
	Check(nil, c.scan(), []string{Key("a"), Key("n")})

	Must(c.Dedicated(func(d rueidis.DedicatedClient) error {
		replies := d.DoMulti(ctx, d.B().Multi().Build(), d.B().Incr().Key(Key("n")).Build(),
			d.B().Set().Key(Key("m")).Value("x").Build(), d.B().Exec().Build())
		done, err := replies[3].ToArray()
		if err == nil {
			n, _ := done[0].AsInt64()
			set, _ := done[1].ToString()
			Check(nil, []any{n, set}, []any{int64(3), "OK"})
		}
		return err
	}))

	pipeline := make([]rueidis.Completed, 100)
	for i := range pipeline {
		pipeline[i] = b.Incr().Key(Key("p")).Build()
	}
	for i, reply := range c.DoMulti(ctx, pipeline...) {
		n, err := reply.AsInt64()
		Check(err, n, int64(i+1))
	}
	c.cache()
	gone, err := do(b.Del().Key(Key("a")).Build()).AsInt64()
	Check(err, gone, int64(1))
}

// What the client keeps (CLIENT TRACKING with OPTIN) it answers by itself, until it hears that it has changed.
func (c client) cache() {
	cached := func() (string, bool) {
		reply := c.DoCache(ctx, c.B().Get().Key(Key("c")).Cache(), time.Minute)
		value, err := reply.ToString()
		Must(err)
		return value, reply.IsCacheHit()
	}
	Must(c.Set(Key("c"), "1"))
	value, hit := cached()
	Check(nil, []any{value, hit}, []any{"1", false})
	value, hit = cached()
	Check(nil, []any{value, hit}, []any{"1", true})
	Must(c.Set(Key("c"), "2"))
	Eventually(func() bool { value, _ = cached(); return value == "2" })
	value, hit = cached()
	Check(nil, []any{value, hit}, []any{"2", true})
}

func (c client) scan() []string {
	found := []string{}
	for _, node := range c.Nodes() {
		for cursor := uint64(0); ; {
			entry, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(Pattern).Count(100).Build()).AsScanEntry()
			Must(err)
			found = append(found, entry.Elements...)
			if cursor = entry.Cursor; cursor == 0 {
				break
			}
		}
	}
	return Unique(found)
}

func (c client) Set(key, value string) error {
	return c.Do(ctx, c.B().Set().Key(key).Value(value).Build()).Error()
}

func (c client) Get(key string) (string, error) {
	value, err := c.Do(ctx, c.B().Get().Key(key).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		err = nil
	}
	return value, err
}

func main() { Main("github.com/redis/rueidis", connect) }
