package main

import (
	"fmt"

	"github.com/gomodule/redigo/redis"

	. "synod/clients/scenario"
)

// redigo knows nothing of clusters: its pool has one address.
type client struct{ *redis.Pool }

func connect() Client {
	return client{&redis.Pool{MaxIdle: 2, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", Addresses[0]) }}}
}

func (c client) do(command string, arguments ...any) (any, error) {
	connection := c.Pool.Get()
	defer connection.Close()
	return connection.Do(command, arguments...)
}

func (c client) Usual() {
	set, err := redis.String(c.do("SET", Key("a"), 1))
	Check(err, set, "OK")
	get, err := c.Get(Key("a"))
	Check(err, get, "1")
	for i := int64(1); i <= 2; i++ {
		n, err := c.do("INCR", Key("n"))
		Check(err, n, i)
	}
	many, err := redis.Strings(c.do("MGET", Key("a"), Key("n"), Key("none")))
	Check(err, many, []string{"1", "2", ""})
	expires, err := c.do("EXPIRE", Key("a"), 100)
	Check(err, expires, int64(1))
	left, err := redis.Int64(c.do("TTL", Key("a")))
	Check(err, left > 0 && left <= 100, true)
	Check(nil, c.scan(), []string{Key("a"), Key("n")})

	connection := c.Pool.Get()
	defer connection.Close()
	connection.Send("MULTI")
	connection.Send("INCR", Key("n"))
	connection.Send("SET", Key("m"), "x")
	done, err := redis.Values(connection.Do("EXEC"))
	Check(err, fmt.Sprint(done), "[3 OK]")

	for range 100 {
		connection.Send("INCR", Key("p"))
	}
	connection.Flush()
	for i := range 100 {
		n, err := connection.Receive()
		Check(err, n, int64(i+1))
	}
	gone, err := c.do("DEL", Key("a"))
	Check(err, gone, int64(1))
}

func (c client) scan() []string {
	found := []string{}
	for cursor := "0"; ; {
		reply, err := redis.Values(c.do("SCAN", cursor, "MATCH", Pattern, "COUNT", 100))
		Must(err)
		names, err := redis.Strings(reply[1], nil)
		Must(err)
		found = append(found, names...)
		if cursor, err = redis.String(reply[0], err); cursor == "0" {
			return Unique(found)
		}
	}
}

func (c client) Set(key, value string) error {
	_, err := c.do("SET", key, value)
	return err
}

func (c client) Get(key string) (string, error) {
	value, err := redis.String(c.do("GET", key))
	if err == redis.ErrNil {
		err = nil
	}
	return value, err
}

func (c client) Close() { c.Pool.Close() }

func main() { Main("github.com/gomodule/redigo", connect) }
