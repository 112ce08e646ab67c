// Publishes a challenge log with a request for its answer, repeats it, and reads its reward.
//
//	KAFKA=127.0.0.1:9092 CHALLENGE=<id> USER_ID=joe go run .
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var prefix = os.Getenv("PREFIX")

type purchase struct {
	Project   string            `json:"project,omitempty"`
	Challenge string            `json:"challengeId"`
	OwnedBy   map[string]string `json:"ownedBy"`
	Activity  string            `json:"activityId"`
	At        time.Time         `json:"activityAt"`
	// One identity for one purchase, however often it is sent: its number.
	Identifier string `json:"uniqueIdentifier"`
	// Text: a float has no exact amount.
	Value json.Number `json:"activityValue"`
}

type reply struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// ask publishes a value and returns its reply, from a consumer that reads partition 0 of the
// replies since before. Where the context ends first, sending the same value again is safe.
func ask(ctx context.Context, client *kgo.Client, value []byte, correlation string) (reply, error) {
	partition := binary.BigEndian.AppendUint32(nil, 0)
	record := &kgo.Record{Topic: prefix + "challenge-logs", Value: value, Headers: []kgo.RecordHeader{
		{Key: "kafka_replyTopic", Value: []byte(prefix + "replies")},
		{Key: "kafka_replyPartition", Value: partition},
		{Key: "kafka_correlationId", Value: []byte(correlation)},
	}}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return reply{}, err
	}
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return reply{}, err
		}
		for _, each := range fetches.Records() {
			for _, header := range each.Headers {
				if header.Key == "kafka_correlationId" && string(header.Value) == correlation {
					var answer reply
					return answer, json.Unmarshal(each.Value, &answer)
				}
			}
		}
	}
}

// reward reads rewards from the beginning until one has this id.
func reward(ctx context.Context, client *kgo.Client, id string) ([]byte, error) {
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, err
		}
		for _, each := range fetches.Records() {
			if bytes.Contains(each.Value, []byte(id)) {
				return each.Value, nil
			}
		}
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	brokers := kgo.SeedBrokers(os.Getenv("KAFKA"))
	// Without it, what is aborted is read as well.
	committed := kgo.FetchIsolationLevel(kgo.ReadCommitted())

	// Replies are read from five seconds ago on, not from their end: franz-go looks for the end only
	// when it first polls, which is after the request. Older ones have other correlation ids.
	fromNow := kgo.NewOffset().AfterMilli(time.Now().Add(-5 * time.Second).UnixMilli())
	replies, err := kgo.NewClient(brokers, committed, kgo.ConsumePartitions(
		map[string]map[int32]kgo.Offset{prefix + "replies": {0: fromNow}}))
	check(err)
	defer replies.Close()
	value, err := json.Marshal(purchase{
		Project:    os.Getenv("PROJECT"),
		Challenge:  os.Getenv("CHALLENGE"),
		OwnedBy:    map[string]string{"externalId": os.Getenv("USER_ID")},
		Activity:   "made_a_purchase",
		At:         time.Now().UTC(),
		Identifier: "order-1001",
		Value:      "87.50",
	})
	check(err)
	first, err := ask(ctx, replies, value, os.Getenv("USER_ID")+"-first") // 201
	check(err)
	show(first)
	again, err := ask(ctx, replies, value, os.Getenv("USER_ID")+"-again") // 409: counted once
	check(err)
	show(again)

	var led struct {
		Reward struct{ ID string } `json:"achievedMilestoneRewardLog"`
	}
	check(json.Unmarshal(first.Body, &led))
	rewards, err := kgo.NewClient(brokers, committed, kgo.ConsumeTopics(prefix+"reward-events"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(err)
	defer rewards.Close()
	event, err := reward(ctx, rewards, led.Reward.ID)
	check(err)
	fmt.Println(string(event))
}

func show(answer reply) {
	text, err := json.Marshal(answer)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
