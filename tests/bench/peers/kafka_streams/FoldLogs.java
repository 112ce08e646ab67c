import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;

/**
 * The fold in Kafka Streams: a source, one processor with two stores, a sink.
 *
 * <p>As the developer guide's page on the Processor API shows it. It sums each member's values of a
 * challenge exactly, drops logs that were there before, and writes one output a log with the
 * milestones that the log crossed.
 *
 * <p>Its argument is a properties file: the settings of Kafka Streams, and our own under "fold.".
 */
public final class FoldLogs {

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Log(String challengeId, String uniqueIdentifier, BigDecimal activityValue) {}

    record Output(
            String id, String member, String progress, List<Integer> reached, String padding) {}

    record Milestone(int name, BigDecimal target) {

        boolean isCrossed(BigDecimal before, BigDecimal after) {
            return before.compareTo(target) < 0 && target.compareTo(after) <= 0;
        }
    }

    /** Our own settings. */
    record Options(
            String input,
            String output,
            boolean cached,
            String padding,
            List<Milestone> milestones) {

        static Options of(Properties given) {
            var targets = given.getProperty("fold.milestones").split(",");
            return new Options(
                    given.getProperty("fold.input"),
                    given.getProperty("fold.output"),
                    Boolean.parseBoolean(given.getProperty("fold.cached")),
                    "x".repeat(Integer.parseInt(given.getProperty("fold.padding"))),
                    Stream.of(targets).map(Options::milestone).toList());
        }

        private static Milestone milestone(String text) {
            var parts = text.split("=");
            return new Milestone(Integer.parseInt(parts[0]), new BigDecimal(parts[1]));
        }
    }

    /** Makes the processor and names the stores that it wants. */
    static final class Fold implements ProcessorSupplier<String, Log, String, Output> {

        private final Options options;
        private final LongAdder done;

        Fold(Options options, LongAdder done) {
            this.options = options;
            this.done = done;
        }

        @Override
        public Processor<String, Log, String, Output> get() {
            return new FoldProcessor(options, done);
        }

        @Override
        public Set<StoreBuilder<?>> stores() {
            return Set.of(
                    Peer.store("sums", Serdes.String(), options.cached()),
                    Peer.store("seen", Serdes.ByteArray(), options.cached()));
        }
    }

    static final class FoldProcessor implements Processor<String, Log, String, Output> {

        private static final byte[] SEEN = {1};

        private final Options options;
        private final LongAdder done;
        private ProcessorContext<String, Output> context;
        private KeyValueStore<String, String> sums;
        private KeyValueStore<String, byte[]> seen;

        FoldProcessor(Options options, LongAdder done) {
            this.options = options;
            this.done = done;
        }

        @Override
        public void init(ProcessorContext<String, Output> given) {
            context = given;
            sums = given.getStateStore("sums");
            seen = given.getStateStore("seen");
        }

        @Override
        public void process(Record<String, Log> record) {
            var log = record.value();
            var key = record.key() + log.challengeId();
            var identity = key + log.uniqueIdentifier();
            if (seen.putIfAbsent(identity, SEEN) == null) {
                context.forward(record.withValue(count(log, record.key(), key, identity)));
            }
            done.increment();
        }

        private Output count(Log log, String member, String key, String identity) {
            var known = sums.get(key);
            var before = known == null ? BigDecimal.ZERO : new BigDecimal(known);
            var total = before.add(log.activityValue());
            var progress = total.stripTrailingZeros().toPlainString();
            sums.put(key, progress);
            var reached = options.milestones().stream()
                    .filter(one -> one.isCrossed(before, total))
                    .map(Milestone::name)
                    .toList();
            return new Output(identity, member, progress, reached, options.padding());
        }
    }

    static Topology topology(Options options, LongAdder done) {
        var keys = Serdes.String();
        return new Topology()
                .addSource("logs", keys.deserializer(), Peer.reading(Log.class), options.input())
                .addProcessor("fold", new Fold(options, done), "logs")
                .addSink(
                        "outputs", options.output(), keys.serializer(),
                        Peer.writing(Output.class), "fold");
    }

    public static void main(String[] arguments) throws IOException {
        var settings = Peer.settings(arguments);
        var done = new LongAdder();
        Peer.run(topology(Options.of(settings), done), settings, done);
    }
}
