#!/bin/sh
# Publishes a challenge log with kcat, reads its answer, repeats it, and finds its reward.
#   KAFKA=127.0.0.1:9092 CHALLENGE=<id> USER_ID=joe MEMBER_ID=<joe's id> ./purchase.sh
# PROJECT and PREFIX (MILESTREAM_TOPIC_PREFIX) where they are not the defaults.
set -eu
: "${KAFKA:?}" "${CHALLENGE:?}" "${USER_ID:?}" "${MEMBER_ID:?}"
# What is aborted is read as well without isolation.level; -e ends where the topic ends.
READ="-b $KAFKA -C -q -e -X isolation.level=read_committed"

# One identity for one purchase, however often it is sent: its number.
LOG=$(printf '{"project": "%s", "challengeId": "%s", "ownedBy": {"externalId": "%s"},
  "activityId": "made_a_purchase", "activityAt": "%s", "uniqueIdentifier": "order-1001",
  "activityValue": 87.50}' "${PROJECT:-default}" "$CHALLENGE" "$USER_ID" "$(date -u +%FT%TZ)" | tr '\n' ' ')

# Reads with these options until a line has this text, for a minute at most; prints that line.
find() {
  text=$1
  shift
  tries=0
  # shellcheck disable=SC2086  # options
  until kcat $READ "$@" | grep -m1 -F "$text"; do
    tries=$((tries + 1))
    test "$tries" -lt 300
    sleep 0.2
  done
}

# Sends the log, and waits for its answer: without kafka_replyPartition it comes on partition 0.
ask() {
  id=$USER_ID-$1
  end=$(kcat -b "$KAFKA" -Q -t "${PREFIX:-}replies:0:-1" | sed 's/.* offset //')
  printf '%s\n' "$LOG" | kcat -b "$KAFKA" -P -t "${PREFIX:-}challenge-logs" -X acks=all \
    -H "kafka_replyTopic=${PREFIX:-}replies" -H "kafka_correlationId=$id"
  find "kafka_correlationId=$id" -t "${PREFIX:-}replies" -p 0 -o "$end" -f '%h %s\n' | sed 's/^[^{]*//'
}

ask first   # {"status":201, …}: with the progress after it, and the reward that it gave
ask again   # {"status":409, …}: nothing is counted twice; the first answer is under "record"

# What subscribers get: CloudEvents.
find "\"subject\":\"$MEMBER_ID\"" -t "${PREFIX:-}reward-events" -o beginning
