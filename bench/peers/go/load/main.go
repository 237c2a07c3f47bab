// SPDX-License-Identifier: AGPL-3.0-or-later

// The load of bench/api.py: GetJob over one connection, a fixed number of calls at a time, for a time.
//
//	load ADDRESS CONCURRENT SECONDS < job ids, one a line
//
// Prints {"calls", "seconds", "p50", "p99", "max"} (ms) of the calls after the first fifth of the time.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "localrag.example/peer/pb"
)

func main() {
	concurrent, _ := strconv.Atoi(os.Args[2])
	seconds, _ := strconv.ParseFloat(os.Args[3], 64)
	var ids []string
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		ids = append(ids, lines.Text())
	}
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := pb.NewJobServiceClient(connection)
	start := time.Now()
	length := time.Duration(seconds * float64(time.Second))
	from, until := start.Add(length/5), start.Add(length)
	var all []time.Duration
	var lock sync.Mutex
	var wait sync.WaitGroup
	for c := range concurrent {
		wait.Add(1)
		go func() {
			defer wait.Done()
			var took []time.Duration
			for i := c; ; i += concurrent {
				began := time.Now()
				if began.After(until) {
					break
				}
				id := ids[i%len(ids)]
				job, err := client.GetJob(context.Background(), &pb.GetJobRequest{JobId: id})
				if err != nil {
					log.Fatal(err)
				}
				if job.JobId != id || job.GetResult().GetDocument().GetPageCount() != 12 {
					log.Fatal("a wrong job was answered")
				}
				if began.After(from) {
					took = append(took, time.Since(began))
				}
			}
			lock.Lock()
			all = append(all, took...)
			lock.Unlock()
		}()
	}
	wait.Wait()
	if len(all) == 0 {
		log.Fatal("no call ended")
	}
	slices.Sort(all)
	ms := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))]) / 1e6 }
	json.NewEncoder(os.Stdout).Encode(map[string]any{"calls": len(all), "seconds": time.Since(from).Seconds(),
		"p50": ms(0.5), "p99": ms(0.99), "max": ms(1)})
}
