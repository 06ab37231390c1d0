// SPDX-License-Identifier: Apache-2.0

// clocks.go - what a Go program reads: "go fresh SECONDS", and a check of the rate
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(0, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func main() {
	rate, _ := strconv.ParseFloat(os.Args[1], 64)
	const spin = 40 * time.Millisecond
	least := time.Duration(rate * 0.9 * float64(spin))
	most := time.Duration(rate * 9 * float64(spin))
	if rate < 1 {
		most = time.Duration(0.9 * float64(spin))
	}
	if rate == 0 {
		most = 0
	}
	best := time.Duration(1<<63 - 1)
	for i := 0; i < 20 && best > most; i++ {
		begin, used := time.Now(), cpu()
		for cpu()-used < spin {
		}
		if took := time.Since(begin); took < best {
			best = took
		}
	}
	if best < least || best > most {
		fmt.Printf("FAILED go: a span of %v, not between %v and %v\n", best, least, most)
	}
	fmt.Printf("go fresh %d\n", time.Now().Unix())
}
