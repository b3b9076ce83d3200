// Go libraries that keep their data in Redis (../../README.md).
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-redis/cache/v9"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

var (
	address = os.Args[2]
	client  = redis.NewClient(&redis.Options{Addr: address})
)

func fresh(what string) string { return fmt.Sprint(what, time.Now().UnixNano()) }

var modules = map[string]string{
	"asynq":          "github.com/hibiken/asynq",
	"redsync":        "github.com/go-redsync/redsync/v4",
	"go-redis-cache": "github.com/go-redis/cache/v9",
}

var applications = map[string]func() error{
	"asynq": func() error {
		queue := asynq.NewClient(asynq.RedisClientOpt{Addr: address})
		defer queue.Close()
		_, err := queue.Enqueue(asynq.NewTask("task", nil))
		return err
	},
	"redsync": func() error {
		mutex := redsync.New(goredis.NewPool(client)).NewMutex(fresh("lock"))
		if err := mutex.Lock(); err != nil {
			return err
		}
		_, err := mutex.Unlock()
		return err
	},
	"go-redis-cache": func() error {
		c, key, got := cache.New(&cache.Options{Redis: client}), fresh("key"), ""
		err := c.Set(&cache.Item{Ctx: context.Background(), Key: key, Value: "value", TTL: time.Minute})
		if err == nil {
			err = c.Get(context.Background(), key, &got)
		}
		if err == nil && got != "value" {
			err = fmt.Errorf("%q instead of value", got)
		}
		return err
	},
}

func once() {
	if err := applications[os.Args[1]](); err != nil {
		fmt.Println("failed", strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		fmt.Println("works")
	}
}

func main() {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == modules[os.Args[1]] {
			fmt.Println("version", strings.TrimPrefix(dependency.Version, "v"))
		}
	}
	once()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		once()
	}
}
