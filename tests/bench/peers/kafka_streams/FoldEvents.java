import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;

/**
 * Events in Kafka Streams: a source, one processor with three stores, a sink for five topics.
 *
 * <p>An event that was there before is dropped. Else its conditions are judged, then its limit; it
 * gives points, and feeds one challenge with milestones and points on completion. The outputs are
 * of the kinds that Milestream writes, on as many topics, and padded to its sizes.
 *
 * <p>Its argument is a properties file: the settings of Kafka Streams, and our own under "fold.".
 */
public final class FoldEvents {

    private static final String LOGGED = "event-results";
    private static final String POINTS = "points-events";
    private static final String PROGRESS = "progress-events";
    private static final String MILESTONES = "milestone-events";
    private static final String REWARDS = "reward-events";

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Event(
            String eventId,
            String userId,
            String occurredAt,
            String idempotencyKey,
            JsonNode metadata) {

        String month() {
            return occurredAt.substring(0, 7);
        }

        BigDecimal amount(String field) {
            var found = metadata.path(field);
            return found.isNumber() ? found.decimalValue() : null;
        }
    }

    /** What a member did in a month: slots of the limit taken, and the challenge's progress. */
    record Month(int counted, BigDecimal progress) {}

    record Output(@JsonIgnore String topic, String kind, String id, String member, Object data,
            String padding) {}

    record Logged(
            String userId, String eventId, long points, String title, int limit, JsonNode metadata,
            boolean conditionReached, boolean limitReached, String userGroupId, String occurredAt) {}

    record Granted(long points, long balance, String actionId, String sourceId) {}

    record Recorded(BigDecimal activityValue, BigDecimal progress, String status) {}

    record Crossed(int milestone, BigDecimal value) {}

    /** The conditions of a definition, as a tree that is walked for each event. */
    static Predicate<JsonNode> condition(JsonNode given) {
        if (given.has("conditions")) {
            var parts = StreamSupport.stream(given.get("conditions").spliterator(), false)
                    .map(FoldEvents::condition)
                    .toList();
            return given.get("type").textValue().equals("AND")
                    ? data -> parts.stream().allMatch(part -> part.test(data))
                    : data -> parts.stream().anyMatch(part -> part.test(data));
        }
        var field = given.get("field").textValue();
        var value = given.get("value");
        return switch (given.get("operator").textValue()) {
            case "exists" -> data -> data.hasNonNull(field);
            case "greater_than" -> data -> data.path(field).isNumber()
                    && data.get(field).decimalValue().compareTo(value.decimalValue()) > 0;
            case "in" -> data -> StreamSupport.stream(value.spliterator(), false)
                    .anyMatch(one -> one.equals(data.get(field)));
            default -> throw new IllegalArgumentException("unknown operator in " + given);
        };
    }

    /** The event's definition, as Milestream has it. */
    record Rule(
            String title,
            JsonNode reward,
            String valueField,
            BigDecimal maximum,
            int limit,
            Predicate<JsonNode> conditions) {

        static Rule of(JsonNode given) {
            return new Rule(
                    given.get("title").textValue(),
                    given.get("reward"),
                    given.get("rewardValueField").textValue(),
                    given.get("maximumReward").decimalValue(),
                    given.get("limit").intValue(),
                    condition(given.get("conditions")));
        }

        String group(JsonNode metadata) {
            return StreamSupport.stream(metadata.path("usergroup").spliterator(), false)
                    .map(JsonNode::textValue)
                    .filter(reward::has)
                    .findFirst()
                    .orElse("default");
        }

        long points(Event event, String group) {
            var amount = event.amount(valueField);
            if (amount == null) {
                return 0;
            }
            return amount.multiply(reward.get(group).decimalValue())
                    .setScale(0, RoundingMode.HALF_UP)
                    .max(BigDecimal.ZERO)
                    .min(maximum)
                    .longValue();
        }
    }

    record Milestone(int name, BigDecimal target) {}

    /** The challenge that events feed. */
    record Challenge(
            String id,
            String valueField,
            BigDecimal target,
            long pointsOnCompletion,
            List<Milestone> milestones) {

        static Challenge of(JsonNode given, String milestones) {
            return new Challenge(
                    given.get("id").textValue(),
                    given.get("valueField").textValue(),
                    given.get("completionTargetValue").decimalValue(),
                    given.get("pointsOnCompletion").longValue(),
                    Stream.of(milestones.split(",")).map(Challenge::milestone).toList());
        }

        private static Milestone milestone(String text) {
            var parts = text.split("=");
            return new Milestone(Integer.parseInt(parts[0]), new BigDecimal(parts[1]));
        }
    }

    static boolean isCrossed(BigDecimal target, BigDecimal before, BigDecimal after) {
        return before.compareTo(target) < 0 && target.compareTo(after) <= 0;
    }

    /** Our own settings. */
    record Options(
            String input,
            String output,
            boolean cached,
            Map<String, String> padding,
            Rule rule,
            Challenge challenge) {

        static Options of(Properties given) throws IOException {
            var event = Peer.JSON.readTree(given.getProperty("fold.event"));
            var challenge = Peer.JSON.readTree(given.getProperty("fold.challenge"));
            var padding = Stream.of(given.getProperty("fold.padding").split(","))
                    .map(one -> one.split("="))
                    .collect(Collectors.toMap(
                            one -> one[0], one -> "x".repeat(Integer.parseInt(one[1]))));
            return new Options(
                    given.getProperty("fold.input"),
                    given.getProperty("fold.output"),
                    Boolean.parseBoolean(given.getProperty("fold.cached")),
                    padding,
                    Rule.of(event),
                    Challenge.of(challenge, given.getProperty("fold.milestones")));
        }
    }

    /** Makes the processor and names the stores that it wants. */
    record Fold(Options options, LongAdder done)
            implements ProcessorSupplier<String, Event, String, Output> {

        @Override
        public Processor<String, Event, String, Output> get() {
            return new FoldProcessor(options, done);
        }

        @Override
        public Set<StoreBuilder<?>> stores() {
            return Set.of(
                    Peer.store("seen", Serdes.ByteArray(), options.cached()),
                    Peer.store("months", Peer.json(Month.class), options.cached()),
                    Peer.store("wallets", Serdes.Long(), options.cached()));
        }
    }

    static final class FoldProcessor implements Processor<String, Event, String, Output> {

        private static final byte[] SEEN = {1};
        private static final Month FRESH = new Month(0, BigDecimal.ZERO);

        private final Options options;
        private final LongAdder done;
        private ProcessorContext<String, Output> context;
        private KeyValueStore<String, byte[]> seen;
        private KeyValueStore<String, Month> months;
        private KeyValueStore<String, Long> wallets;

        FoldProcessor(Options options, LongAdder done) {
            this.options = options;
            this.done = done;
        }

        @Override
        public void init(ProcessorContext<String, Output> given) {
            context = given;
            seen = given.getStateStore("seen");
            months = given.getStateStore("months");
            wallets = given.getStateStore("wallets");
        }

        @Override
        public void process(Record<String, Event> record) {
            var identity = record.key() + ":" + record.value().idempotencyKey();
            if (seen.putIfAbsent(identity, SEEN) == null) {
                judge(record, identity);
            }
            done.increment();
        }

        private void judge(Record<String, Event> record, String identity) {
            var event = record.value();
            var rule = options.rule();
            var key = record.key() + event.month();
            var known = months.get(key);
            var month = known == null ? FRESH : known;
            var meets = rule.conditions().test(event.metadata());
            var full = month.counted() >= rule.limit();
            var group = rule.group(event.metadata());
            var points = meets && !full ? rule.points(event, group) : 0;
            send(record, LOGGED, "event.logged", identity, new Logged(
                    event.userId(), event.eventId(), points, rule.title(), rule.limit(),
                    event.metadata(), meets, full, group, event.occurredAt()));
            if (points > 0) {
                grant(record, identity, points, event.eventId());
            }
            if (meets) {
                var progress = feed(record, identity, month.progress());
                months.put(key, new Month(month.counted() + (full ? 0 : 1), progress));
            }
        }

        private void grant(
                Record<String, Event> record, String identity, long points, String action) {
            var known = wallets.get(record.key());
            var balance = points + (known == null ? 0 : known);
            wallets.put(record.key(), balance);
            send(record, POINTS, "points.granted", identity,
                    new Granted(points, balance, action, identity));
        }

        /** Returns the progress after the event. */
        private BigDecimal feed(Record<String, Event> record, String identity, BigDecimal before) {
            var challenge = options.challenge();
            var amount = record.value().amount(challenge.valueField());
            if (amount == null) {
                return before;
            }
            var after = before.add(amount);
            var status = after.compareTo(challenge.target()) < 0 ? "in_progress" : "completed";
            var recorded = new Recorded(amount, after, status);
            send(record, PROGRESS, "challenge_log.recorded", identity, recorded);
            for (var milestone : challenge.milestones()) {
                if (isCrossed(milestone.target(), before, after)) {
                    var crossed = new Crossed(milestone.name(), after);
                    send(record, MILESTONES, "milestone.reached", identity, crossed);
                    send(record, REWARDS, "reward.granted", identity, crossed);
                }
            }
            if (isCrossed(challenge.target(), before, after)) {
                send(record, PROGRESS, "challenge.completed", identity, recorded);
                var action = "challenge:" + challenge.id();
                grant(record, identity, challenge.pointsOnCompletion(), action);
            }
            return after;
        }

        private void send(
                Record<String, Event> record, String topic, String kind, String id, Object data) {
            var padding = options.padding().get(topic);
            context.forward(record.withValue(new Output(
                    options.output() + topic, kind, id, record.key(), data, padding)));
        }
    }

    static Topology topology(Options options, LongAdder done) {
        var keys = Serdes.String();
        return new Topology()
                .addSource(
                        "events", keys.deserializer(), Peer.reading(Event.class), options.input())
                .addProcessor("fold", new Fold(options, done), "events")
                .addSink(
                        "outputs", (key, output, about) -> output.topic(), keys.serializer(),
                        Peer.writing(Output.class), "fold");
    }

    public static void main(String[] arguments) throws IOException {
        var settings = Peer.settings(arguments);
        var done = new LongAdder();
        Peer.run(topology(Options.of(settings), done), settings, done);
    }
}
