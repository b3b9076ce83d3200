import java.time.Duration;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.redisson.api.BatchOptions;
import org.redisson.api.RBatch;
import org.redisson.api.RedissonClient;
import org.redisson.api.options.KeysScanOptions;
import org.redisson.client.codec.StringCodec;
import org.redisson.config.Config;

public class Redisson extends Scenario {
    final RedissonClient r;

    Redisson() {
        Config config = new Config().setCodec(StringCodec.INSTANCE);
        if (cluster())
            config.useClusterServers().setNodeAddresses(addresses.stream().map(address -> "redis://" + address).toList());
        else
            config.useSingleServer().setAddress("redis://" + addresses.get(0));
        r = org.redisson.Redisson.create(config);
    }

    void usual() {
        r.getBucket(key("a")).set("1", Duration.ofSeconds(100)); // expire() is a script in Redisson
        check(r.getBucket(key("a")).get(), "1");
        check(List.of(r.getAtomicLong(key("n")).incrementAndGet(), r.getAtomicLong(key("n")).incrementAndGet()), List.of(1L, 2L));
        check(r.getBuckets().get(key("a"), key("n"), key("none")).values().stream().sorted().toList(), List.of("1", "2"));
        check(r.getBucket(key("a")).remainTimeToLive() > 0, true);
        TreeSet<String> found = new TreeSet<>();
        r.getKeys().getKeys(KeysScanOptions.defaults().pattern("*" + prefix + "*")).forEach(found::add);
        check(found, new TreeSet<>(List.of(key("a"), key("n"))));
        RBatch transaction = r.createBatch(BatchOptions.defaults().executionMode(BatchOptions.ExecutionMode.IN_MEMORY_ATOMIC));
        transaction.getAtomicLong(key("n")).incrementAndGetAsync();
        transaction.getBucket(key("m")).setAsync("x");
        check(transaction.execute().getResponses().get(0), 3L);
        RBatch pipeline = r.createBatch();
        for (int i = 0; i < 100; i++) pipeline.getAtomicLong(key("p")).incrementAndGetAsync();
        check(pipeline.execute().getResponses(), LongStream.rangeClosed(1, 100).boxed().toList());
        check(r.getKeys().delete(key("a")), 1L);
    }

    void set(String key, String value) { r.getBucket(key).set(value); }
    String get(String key) { return (String) r.getBucket(key).get(); }
    void close() { r.shutdown(); }

    public static void main(String[] arguments) throws Exception { main(arguments, "redisson", Redisson::new); }
}
