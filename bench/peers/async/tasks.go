// What goroutines cost: tasks yield|spawn|gather|timer|queue|lock COUNT, with GOMAXPROCS=1
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	atOnce     = 1000
	others     = 10000
	contenders = 10
)

func together(n int, run func()) {
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			defer all.Done()
			run()
		}()
	}
	all.Wait()
}

func yield(count int) {
	together(2, func() {
		for i := 0; i < count/2; i++ {
			runtime.Gosched()
		}
	})
}

func spawn(count int) {
	for i := 0; i < count; i++ {
		done := make(chan struct{})
		go func() { close(done) }()
		<-done
	}
}

func gather(count int) {
	for ; count >= atOnce; count -= atOnce {
		together(atOnce, func() {})
	}
}

func never() {
	log.Fatal("a timer fired")
}

func after(i int) time.Duration {
	return 30*time.Second + time.Duration(i)*time.Millisecond
}

func timer(count int) {
	all := make([]*time.Timer, others)
	for i := range all {
		all[i] = time.AfterFunc(after(i*7919%others), never)
	}
	for i := 0; i < count; i++ {
		time.AfterFunc(after(i%others), never).Stop()
	}
	for _, t := range all {
		t.Stop()
	}
}

func timeout(count int) {
	for i := 0; i < count; i++ {
		_, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		cancel()
	}
}

func queue(count int) {
	items := make(chan int, 1)
	go func() {
		for i := 0; i < count; i++ {
			items <- i
		}
	}()
	for i := 0; i < count; i++ {
		<-items
	}
}

func lock(count int) {
	var mutex sync.Mutex
	together(contenders, func() {
		for i := 0; i < count/contenders; i++ {
			mutex.Lock()
			runtime.Gosched()
			mutex.Unlock()
		}
	})
}

func main() {
	run := map[string]func(int){"yield": yield, "spawn": spawn, "gather": gather, "timer": timer, "timeout": timeout,
		"queue": queue, "lock": lock}[os.Args[1]]
	count, _ := strconv.Atoi(os.Args[2])
	run(count/20 + 1) // warm up, as timed.h does
	start := time.Now()
	run(count)
	fmt.Printf("{\"jobs\": %d, \"elapsed_s\": %.9f}\n", count, time.Since(start).Seconds())
}
