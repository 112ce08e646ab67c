package example;

import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;

/**
 * Publishes a challenge log and waits for its answer, repeats it, and reads its reward.
 *
 * <p>KAFKA=127.0.0.1:9092 CHALLENGE=… USER_ID=joe MEMBER_ID=… mvn -q compile exec:java
 */
public final class Purchase {
    private static final String KAFKA = System.getenv("KAFKA");
    private static final String PREFIX = System.getenv().getOrDefault("PREFIX", "");
    private static final String USER = System.getenv("USER_ID");
    /** Outputs are keyed by the member's id; schemas/README.md says how anybody computes it. */
    private static final String MEMBER = System.getenv("MEMBER_ID");
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    public static void main(String[] arguments) throws Exception {
        var producers = new DefaultKafkaProducerFactory<String, String>(
                Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, KAFKA, ProducerConfig.ACKS_CONFIG, "all"),
                new StringSerializer(), new StringSerializer());
        // One identity for one purchase, however often it is sent: its number.
        String log = """
                {"project": "%s", "challengeId": "%s", "ownedBy": {"externalId": "%s"},
                 "activityId": "made_a_purchase", "activityAt": "%s", "uniqueIdentifier": "order-1001",
                 "activityValue": 87.50}""".formatted(
                System.getenv().getOrDefault("PROJECT", "default"), System.getenv("CHALLENGE"), USER,
                Instant.now().truncatedTo(ChronoUnit.MILLIS));
        try (var requests = new Requests(producers)) {
            requests.start();
            System.out.println(requests.ask(log)); // {"status":201,…}
            System.out.println(requests.ask(log)); // {"status":409,…}: nothing is counted twice
            System.out.println(reward());
        } finally {
            producers.destroy();
        }
    }

    /** Requests whose replies all come to a consumer of this process's own. */
    private static final class Requests implements AutoCloseable {
        private final ReplyingKafkaTemplate<String, String, String> template;

        Requests(DefaultKafkaProducerFactory<String, String> producers) {
            var properties = new ContainerProperties(PREFIX + "replies");
            properties.setGroupId(PREFIX + "example-" + UUID.randomUUID()); // all partitions are its
            template = new ReplyingKafkaTemplate<>(
                    producers, new ConcurrentMessageListenerContainer<>(consumers("latest"), properties));
            template.setSharedReplyTopic(true); // others' replies lie there too
            template.setDefaultReplyTimeout(PATIENCE);
        }

        /** Listens; from then on its threads keep the program alive until it is closed. */
        void start() throws InterruptedException {
            template.start();
            if (!template.waitForAssignment(PATIENCE)) {
                throw new IllegalStateException("no partition of the replies was assigned");
            }
        }

        /** Waits for the answer; after a KafkaReplyTimeoutException it is safe to ask again. */
        String ask(String value) throws Exception {
            var record = new ProducerRecord<String, String>(PREFIX + "challenge-logs", value);
            return template.sendAndReceive(record).get().value();
        }

        @Override
        public void close() {
            template.stop(); // its consumer, which `destroy` leaves running
            template.destroy();
        }
    }

    private static String reward() {
        try (var consumer = consumers("earliest").createConsumer(PREFIX + "example-" + USER, "")) {
            consumer.subscribe(List.of(PREFIX + "reward-events"));
            for (long end = System.nanoTime() + PATIENCE.toNanos(); System.nanoTime() < end;) {
                for (ConsumerRecord<String, String> each : consumer.poll(Duration.ofSeconds(1))) {
                    if (each.key().equals(MEMBER)) {
                        return each.value();
                    }
                }
            }
        }
        throw new IllegalStateException("no reward came");
    }

    private static DefaultKafkaConsumerFactory<String, String> consumers(String from) {
        return new DefaultKafkaConsumerFactory<>(Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, KAFKA,
                ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed", // or what is aborted is read
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, from),
                new StringDeserializer(), new StringDeserializer());
    }

    private Purchase() {}
}
