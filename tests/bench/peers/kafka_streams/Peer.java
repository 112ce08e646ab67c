import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** What any fold in Kafka Streams needs to run: settings, stores, JSON, and telling how far it is. */
final class Peer {

    static final ObjectMapper JSON = new ObjectMapper();

    private static final Duration REPORT_EVERY = Duration.ofMillis(100);
    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(5);

    private Peer() {}

    /** Reads the properties file that is the only argument. */
    static Properties settings(String[] arguments) throws IOException {
        var settings = new Properties();
        try (Reader reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(reader);
        }
        return settings;
    }

    static <V> StoreBuilder<KeyValueStore<String, V>> store(
            String name, Serde<V> values, boolean cached) {
        var builder = Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(name), Serdes.String(), values);
        return cached ? builder.withCachingEnabled() : builder.withCachingDisabled();
    }

    static <V> Serde<V> json(Class<V> type) {
        return Serdes.serdeFrom(writing(type), reading(type));
    }

    static <V> Deserializer<V> reading(Class<V> type) {
        ObjectReader reader = JSON.readerFor(type);
        return (topic, bytes) -> {
            try {
                return bytes == null ? null : reader.readValue(bytes);
            } catch (IOException error) {
                throw new SerializationException(error);
            }
        };
    }

    static <V> Serializer<V> writing(Class<V> type) {
        ObjectWriter writer = JSON.writerFor(type);
        return (topic, value) -> {
            try {
                return value == null ? null : writer.writeValueAsBytes(value);
            } catch (IOException error) {
                throw new SerializationException(error);
            }
        };
    }

    /** Folds until the process is ended. */
    static void run(Topology topology, Properties settings, LongAdder done) {
        var streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(CLOSE_WITHIN)));
        Thread.ofPlatform().daemon().start(() -> report(done));
        streams.start();
    }

    private static void report(LongAdder done) {
        try {
            while (true) {
                Thread.sleep(REPORT_EVERY);
                System.out.println(done.sum());
            }
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }
}
