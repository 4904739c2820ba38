// An echo server with a goroutine to each connection, and a client: net echo PORT; net connect PORT COUNT AT_ONCE
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

func echo(c net.Conn) {
	defer c.Close()
	data := make([]byte, 4096)
	for {
		n, err := c.Read(data)
		if err != nil {
			return
		}
		if _, err := c.Write(data[:n]); err != nil {
			return
		}
	}
}

func serve(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(c)
	}
}

func connect(address string, count, atOnce int) {
	start := time.Now()
	var all sync.WaitGroup
	for i := 0; i < atOnce; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < count/atOnce; i++ {
				c, err := net.Dial("tcp", address)
				if err != nil {
					log.Fatal(err)
				}
				c.Close()
			}
		}()
	}
	all.Wait()
	fmt.Printf("{\"jobs\": %d, \"elapsed_s\": %.9f}\n", count, time.Since(start).Seconds())
}

func main() {
	address := "127.0.0.1:" + os.Args[2]
	if os.Args[1] == "echo" {
		serve(address)
	}
	count, _ := strconv.Atoi(os.Args[3])
	atOnce, _ := strconv.Atoi(os.Args[4])
	connect(address, count, atOnce)
}
