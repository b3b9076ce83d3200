import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.RedisClusterClient;
import redis.clients.jedis.Response;
import redis.clients.jedis.ScanIteration;
import redis.clients.jedis.UnifiedJedis;

public class Jedis extends Scenario {
    final UnifiedJedis r;

    Jedis() {
        if (cluster()) {
            Set<HostAndPort> nodes = addresses.stream().map(HostAndPort::from).collect(Collectors.toSet());
            r = RedisClusterClient.builder().nodes(nodes).build();
        } else {
            r = RedisClient.builder().hostAndPort(HostAndPort.from(addresses.get(0))).build();
        }
    }

    void usual() {
        check(r.set(key("a"), "1"), "OK");
        check(r.get(key("a")), "1");
        check(List.of(r.incr(key("n")), r.incr(key("n"))), List.of(1L, 2L));
        check(r.mget(key("a"), key("n"), key("none")), Arrays.asList("1", "2", null));
        check(r.expire(key("a"), 100), 1L);
        check(r.ttl(key("a")) > 0, true);
        Set<String> found = new HashSet<>();
        ScanIteration scan = r.scanIteration(100, "*" + prefix + "*");
        while (!scan.isIterationCompleted()) found.addAll(scan.nextBatchList());
        check(new TreeSet<>(found), new TreeSet<>(List.of(key("a"), key("n"))));
        if (!cluster()) { // it has no transactions there
            AbstractTransaction transaction = r.multi();
            transaction.incr(key("n"));
            transaction.set(key("m"), "x");
            check(transaction.exec(), List.of(3L, "OK"));
            transaction.close();
        }
        try (AbstractPipeline pipeline = r.pipelined()) {
            List<Response<Long>> replies = IntStream.range(0, 100).mapToObj(i -> pipeline.incr(key("p"))).toList();
            pipeline.sync();
            check(replies.stream().map(Response::get).toList(), LongStream.rangeClosed(1, 100).boxed().toList());
        }
        check(r.del(key("a")), 1L);
    }

    void set(String key, String value) { r.set(key, value); }
    String get(String key) { return r.get(key); }
    void close() { r.close(); }

    public static void main(String[] arguments) throws Exception { main(arguments, "jedis", Jedis::new); }
}
