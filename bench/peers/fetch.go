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
	"sort"
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
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	us := func(share float64) float64 {
		return float64(took[int(share*float64(count))].Nanoseconds()) / 1000
	}
	fmt.Printf("{\"jobs\": %d, \"elapsed_s\": %.6f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
		count, elapsed, us(0.5), us(0.99))
}
