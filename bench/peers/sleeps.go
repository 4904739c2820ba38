// A goroutine to each sleep of one second: sleeps COUNT
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	start := time.Now()
	var all sync.WaitGroup
	all.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			time.Sleep(time.Second)
			all.Done()
		}()
	}
	all.Wait()
	fmt.Printf("{\"jobs\": %d, \"elapsed_s\": %.6f}\n", count, time.Since(start).Seconds())
}
