<?php
require __DIR__ . '/scenario.php';

$connect = function () use ($mode, $addresses) {
    if ($mode == 'cluster') {
        return new RedisCluster(null, array_map(fn($address) => implode(':', $address), $addresses), 5, 5);
    }
    $client = new Redis();
    $client->connect($addresses[0][0], (int) $addresses[0][1], 5, null, 0, 5);
    return $client;
};

$usual = function ($r) use ($mode, $prefix) {
    check($r->set(key_of('a'), '1'), true);
    check($r->get(key_of('a')), '1');
    check([$r->incr(key_of('n')), $r->incr(key_of('n'))], [1, 2]);
    check($r->mget([key_of('a'), key_of('n'), key_of('none')]), ['1', '2', false]);
    check($r->expire(key_of('a'), 100), true);
    check($r->ttl(key_of('a')) > 0, true);
    $found = [];
    foreach ($mode == 'cluster' ? $r->_masters() : [null] as $master) {
        $cursor = null;
        do {
            $names = $master ? $r->scan($cursor, $master, "*$prefix*", 100) : $r->scan($cursor, "*$prefix*", 100);
            $found = array_merge($found, $names ?: []);
        } while ($cursor > 0);
    }
    sort($found);
    check(array_values(array_unique($found)), [key_of('a'), key_of('n')]);
    check($r->multi()->incr(key_of('n'))->set(key_of('m'), 'x')->exec(), [3, true]);
    if ($mode != 'cluster') { // it pipelines nothing there
        $pipeline = $r->pipeline();
        for ($i = 0; $i < 100; $i++) $pipeline->incr(key_of('p'));
        check($pipeline->exec(), range(1, 100));
    }
    check($r->del(key_of('a')), 1);
};

main(phpversion('redis'), $connect, $usual);
