import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanCursor;
import io.lettuce.core.TransactionResult;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.api.async.RedisClusterAsyncCommands;
import io.lettuce.core.cluster.api.sync.RedisClusterCommands;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;

public class Lettuce extends Scenario {
    final AbstractRedisClient client;
    final RedisClusterCommands<String, String> r;
    final RedisClusterAsyncCommands<String, String> async;
    final RedisCommands<String, String> one; // of the node that has our keys

    Lettuce() {
        List<RedisURI> uris = addresses.stream()
            // By default a command waits 60 s for the connection that it was written to.
            .map(address -> RedisURI.builder().withHost(host(address)).withPort(port(address)).withTimeout(Duration.ofSeconds(2)).build())
            .toList();
        if (cluster()) {
            RedisClusterClient made = RedisClusterClient.create(uris);
            // Without this it never looks at the cluster again by itself, whatever the server is.
            ClusterTopologyRefreshOptions refresh =
                ClusterTopologyRefreshOptions.builder().enablePeriodicRefresh(Duration.ofSeconds(1)).build();
            made.setOptions(ClusterClientOptions.builder().topologyRefreshOptions(refresh).build());
            StatefulRedisClusterConnection<String, String> connection = made.connect();
            client = made;
            r = connection.sync();
            async = connection.async();
            one = connection.getConnection(connection.getPartitions().getPartitionBySlot(SlotHash.getSlot(key("n"))).getNodeId()).sync();
        } else {
            RedisClient made = RedisClient.create(uris.get(0));
            StatefulRedisConnection<String, String> connection = made.connect();
            client = made;
            r = one = connection.sync();
            async = connection.async();
        }
    }

    void usual() throws Exception {
        check(r.set(key("a"), "1"), "OK");
        check(r.get(key("a")), "1");
        check(List.of(r.incr(key("n")), r.incr(key("n"))), List.of(1L, 2L));
        check(r.mget(key("a"), key("n"), key("none")).stream().map(pair -> pair.getValueOrElse("nothing")).toList(),
            List.of("1", "2", "nothing"));
        check(r.expire(key("a"), 100), true);
        check(r.ttl(key("a")) > 0, true);
        TreeSet<String> found = new TreeSet<>();
        KeyScanCursor<String> cursor = r.scan(ScanArgs.Builder.limit(100).match("*" + prefix + "*"));
        for (;;) {
            found.addAll(cursor.getKeys());
            if (cursor.isFinished()) break;
            cursor = r.scan(cursor, ScanArgs.Builder.limit(100).match("*" + prefix + "*"));
        }
        check(found, new TreeSet<>(List.of(key("a"), key("n"))));
        one.multi();
        one.incr(key("n"));
        one.set(key("m"), "x");
        check(one.exec().stream().toList(), List.of(3L, "OK"));
        List<RedisFuture<Long>> replies = new ArrayList<>(); // what is asked for without waiting is pipelined
        for (int i = 0; i < 100; i++) replies.add(async.incr(key("p")));
        for (int i = 0; i < 100; i++) check(replies.get(i).get(5, TimeUnit.SECONDS), i + 1L);
        check(r.del(key("a")), 1L);
    }

    void set(String key, String value) { r.set(key, value); }
    String get(String key) { return r.get(key); }
    void close() { client.shutdown(); }

    public static void main(String[] arguments) throws Exception { main(arguments, "lettuce-core", Lettuce::new); }
}
