// Package scenario is what the programs of Go libraries have in common (../../README.md says what they do).
package scenario

import (
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"sort"
	"strings"
	"time"
)

var (
	Mode      = os.Args[1]
	Addresses = strings.Split(os.Args[2], ",")
	prefix    = os.Args[3]
	Pattern   = "*" + prefix + "*"
)

// A Client is what the endless part needs. Get of a key that is not there is "".
type Client interface {
	Usual()
	Set(key, value string) error
	Get(key string) (string, error)
	Close()
}

// Key has the same slot for all keys of a program, so that a cluster client takes them in one command.
func Key(name string) string { return "{" + prefix + "}:" + name }

func Must(err error) {
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func Check(err error, got, wanted any) {
	Must(err)
	if !reflect.DeepEqual(got, wanted) {
		Must(fmt.Errorf("%v instead of %v", got, wanted))
	}
}

// Eventually waits until it is so.
func Eventually(so func() bool) {
	for deadline := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			Must(fmt.Errorf("not within 10 s"))
		}
	}
}

// Unique sorts names, and drops what is there twice: SCAN may say a key again.
func Unique(names []string) []string {
	sort.Strings(names)
	found := []string{}
	for i, name := range names {
		if i == 0 || name != names[i-1] {
			found = append(found, name)
		}
	}
	return found
}

func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return strings.TrimPrefix(dependency.Version, "v")
		}
	}
	return "unknown"
}

func Main(module string, connect func() Client) {
	client := connect()
	fmt.Println("version", version(module))
	client.Usual()
	fmt.Println("usual")
	for number := 1; ; number++ {
		err := client.Set(Key(fmt.Sprint(number)), fmt.Sprint(number))
		stop := ""
		if err == nil {
			fmt.Println("wrote", number)
			stop, err = client.Get(Key("stop"))
		}
		if err != nil { // some libraries return its text as the value, too
			fmt.Println("error", err)
		} else if stop != "" {
			Check(nil, stop, "stop")
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	client.Close()
	fmt.Println("end")
}
