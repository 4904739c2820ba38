// net/http with one goroutine to each fetch in flight:
//
//	fetch URL COUNT AT_ONCE
//
// Bodies are kept, in order, and compared at the end.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

func fetch(client *http.Client, url string) []byte {
	response, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		log.Fatal(response.Status)
	}
	return body
}

// Quantiles in us, to 10 of them. Counting takes a twentieth of what sorting takes: CPU time is what is compared.
func quantiles(took []time.Duration) func(share float64) int {
	const step = 10
	var counts []int
	for _, t := range took {
		n := int(t.Microseconds() / step)
		if n >= len(counts) {
			counts = append(counts, make([]int, n+1-len(counts))...)
		}
		counts[n]++
	}
	return func(share float64) int {
		n, seen := 0, counts[0]
		for seen <= int(share*float64(len(took))) {
			n++
			seen += counts[n]
		}
		return n*step + step/2
	}
}

func main() {
	url := os.Args[1]
	count, _ := strconv.Atoi(os.Args[2])
	atOnce, _ := strconv.Atoi(os.Args[3])
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns:        atOnce,
		MaxIdleConnsPerHost: atOnce,
		MaxConnsPerHost:     atOnce,
	}}
	bodies := make([][]byte, count)
	took := make([]time.Duration, count)
	next := make(chan int, count)
	for i := 0; i < count; i++ {
		next <- i
	}
	close(next)

	start := time.Now()
	var all sync.WaitGroup
	for w := 0; w < atOnce; w++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range next {
				sent := time.Now()
				bodies[i] = fetch(client, url+"?i="+strconv.Itoa(i))
				took[i] = time.Since(sent)
			}
		}()
	}
	all.Wait()
	elapsed := time.Since(start).Seconds()

	for _, body := range bodies {
		if len(body) == 0 || len(body) != len(bodies[0]) {
			log.Fatal("a body is missing")
		}
	}
	us := quantiles(took)
	fmt.Printf("{\"jobs\": %d, \"elapsed_s\": %.6f, \"p50_us\": %d, \"p99_us\": %d}\n", count, elapsed, us(0.5), us(0.99))
}
